package contract

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// pieceLength is how many characters of a known secret are too many to be shown.
	pieceLength = 12
	// minSecret and maxSecret bound the secrets that are known: what is shorter is none, and none is longer.
	minSecret = 6
	maxSecret = 256
	// maxRedacted bounds the texts that are looked at; they are cut to much less.
	maxRedacted = 64 << 10
	// maxEscapes is how often a text may be escaped, as JSON within JSON is.
	maxEscapes = 4
)

// redactor hides secrets. Every text that a run reports or records goes through it: what a server repeats, and how, is the
// server's choice. It hides what looks like a secret, and any piece of those that the run knows: its own and those that it
// has made, in any case, in Base64, percent-encoded, or escaped as in JSON.
type redactor struct {
	pieces  map[string]bool // in lower case
	sizes   map[int]bool    // how long they are
	project string
	spare   *regexp.Regexp // the Project ID, if it has a piece of the secret itself: it may be shown
}

func newRedactor(own credential) *redactor {
	r := &redactor{pieces: map[string]bool{}, sizes: map[int]bool{}, project: own.project}
	r.learn(own.secret)
	if hidden := make([]bool, len(own.project)); r.search(hidden, viewOf(own.project)) {
		r.spare = regexp.MustCompile("(?i)" + regexp.QuoteMeta(own.project))
	}
	return r
}

// learn notes a secret.
func (r *redactor) learn(secret string) {
	secret = string(lowered([]byte(secret[:min(len(secret), maxSecret)])))
	if len(secret) < minSecret {
		return
	}
	size := min(len(secret), pieceLength)
	r.sizes[size] = true
	for i := range len(secret) - size + 1 {
		r.pieces[secret[i:i+size]] = true
	}
}

// learnFrom notes the secret in an answer. What the suite has thought up itself is none, wherever a server puts it.
func (r *redactor) learnFrom(ex *exchange) {
	for _, name := range []string{"token", "signing_key"} {
		secret, _ := ex.lookup(name).(string)
		if len(secret) >= pieceLength && !strings.ContainsAny(secret, " \t\n") && !strings.Contains(secret, namePrefix) && secret != r.project {
			r.learn(secret)
		}
	}
}

// general is what looks like a secret, to somebody who knows none. The first group stays.
var general = []*regexp.Regexp{ //nolint:gochecknoglobals // they do not change
	regexp.MustCompile(`(?i)(basic\s+)[a-z0-9+/_=-]{16,}`),
	regexp.MustCompile(`(?i)(PT|PSK)[0-9a-f]{8,}`),
	regexp.MustCompile(`(?i)()[0-9a-f]{40,}`), // a secret without its prefix
}

// text hides secrets, whole ones and pieces of them.
func (r *redactor) text(text string) string {
	if len(text) < minSecret {
		return text
	}
	for _, pattern := range general {
		text = pattern.ReplaceAllString(text, "${1}…")
	}
	if r.spare == nil {
		return r.known(text)
	}
	var out strings.Builder
	at := 0
	for _, found := range r.spare.FindAllStringIndex(text, -1) {
		out.WriteString(r.known(text[at:found[0]]) + text[found[0]:found[1]])
		at = found[1]
	}
	return out.String() + r.known(text[at:])
}

// known hides the pieces of known secrets.
func (r *redactor) known(text string) string {
	hidden := make([]bool, len(text))
	if !r.find(hidden, viewOf(text), 0) {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if !hidden[i] {
			out.WriteByte(text[i])
			continue
		}
		if len(text) >= i+2 && hidden[i+1] && strings.EqualFold(text[i:i+2], "PT") {
			out.WriteString(text[i : i+2])
		}
		for i+1 < len(text) && hidden[i+1] {
			i++
		}
		out.WriteString("…")
	}
	return out.String()
}

// view is a text, or what it means when it is decoded: each byte stands for a part of the text.
type view struct {
	bytes      []byte
	start, end []int
}

func viewOf(text string) view {
	v := view{bytes: []byte(text), start: make([]int, len(text)), end: make([]int, len(text))}
	for i := range len(text) {
		v.start[i], v.end[i] = i, i+1
	}
	return v
}

func (v *view) add(value byte, start, end int) {
	v.bytes, v.start, v.end = append(v.bytes, value), append(v.start, start), append(v.end, end)
}

// find marks what has to be hidden of a text, and reports whether there is anything.
func (r *redactor) find(hidden []bool, v view, escapes int) bool {
	found := r.search(hidden, v)
	for _, run := range encodedRun.FindAllIndex(v.bytes, -1) {
		for shift := range 4 { // it may begin in the middle of a group
			if r.search(hidden, v.fromBase64(run[0]+shift, run[1])) {
				found = true
			}
		}
	}
	if escapes < maxEscapes && bytes.ContainsAny(v.bytes, `%\`) && r.find(hidden, v.unescaped(), escapes+1) {
		found = true
	}
	return found
}

// search marks the pieces that a view has.
func (r *redactor) search(hidden []bool, v view) bool {
	found := false
	lower := lowered(v.bytes)
	for size := range r.sizes {
		for i := range len(lower) - size + 1 {
			if !r.pieces[string(lower[i:i+size])] {
				continue
			}
			found = true
			for at := v.start[i]; at < v.end[i+size-1]; at++ {
				hidden[at] = true
			}
		}
	}
	return found
}

// lowered is a text in lower case, as long as it was: letters beyond ASCII stay.
func lowered(text []byte) []byte {
	lower := bytes.Clone(text)
	for i, b := range lower {
		if 'A' <= b && b <= 'Z' {
			lower[i] = b + 'a' - 'A'
		}
	}
	return lower
}

// encodedRun is what may be Base64, of either alphabet, and long enough to hold a piece.
var encodedRun = regexp.MustCompile(`[A-Za-z0-9+/_-]{8,}`)

// fromBase64 decodes a part of a view.
func (v view) fromBase64(start, end int) view {
	var decoded view
	var bits, count int
	for i := start; i < end; i++ {
		bits, count = bits<<6|sextet(v.bytes[i]), count+6
		if count >= 8 {
			count -= 8
			decoded.add(byte(bits>>count), v.start[i-1], v.end[i]) //nolint:gosec // its lowest 8 bits are meant
			bits &= 1<<count - 1
		}
	}
	return decoded
}

func sextet(b byte) int {
	switch {
	case 'A' <= b && b <= 'Z':
		return int(b - 'A')
	case 'a' <= b && b <= 'z':
		return int(b-'a') + 26
	case '0' <= b && b <= '9':
		return int(b-'0') + 52
	case b == '+' || b == '-':
		return 62
	}
	return 63
}

// unescaped undoes percent-encoding and the escapes of JSON, once.
func (v view) unescaped() view {
	var plain view
	for i := 0; i < len(v.bytes); {
		value, size := unescape(v.bytes[i:])
		for _, b := range value {
			plain.add(b, v.start[i], v.end[i+size-1])
		}
		i += size
	}
	return plain
}

// unescape returns what the beginning of a text stands for, and how many bytes that is.
func unescape(text []byte) ([]byte, int) {
	numbered := func(digits, size int) ([]byte, int) {
		if len(text) < size {
			return text[:1], 1
		}
		number, err := strconv.ParseUint(string(text[size-digits:size]), 16, 32)
		if err != nil {
			return text[:1], 1
		}
		if digits == 2 {
			return []byte{byte(number)}, size //nolint:gosec // two digits
		}
		return utf8.AppendRune(nil, rune(number)), size //nolint:gosec // four digits
	}
	switch {
	case text[0] == '%':
		return numbered(2, 3)
	case text[0] != '\\' || len(text) == 1:
		return text[:1], 1
	case text[1] == 'u':
		return numbered(4, 6)
	case text[1] == 'x':
		return numbered(2, 4)
	case strings.IndexByte("bfnrt", text[1]) >= 0:
		return []byte{' '}, 2
	}
	return text[1:2], 2
}

// shown hides first and cuts then: what is left of a secret that was cut may look like none.
func (r *redactor) shown(text string, limit int) string {
	safe := strings.ToValidUTF8(r.text(text[:min(len(text), maxRedacted)]), "\uFFFD")
	if len(safe) <= limit && len(text) <= maxRedacted {
		return safe
	}
	return short(safe, limit) + "… (" + strconv.Itoa(len(text)) + " bytes)"
}

// failure hides what is secret in a failure.
func (r *redactor) failure(f *Failure) *Failure {
	if f == nil {
		return nil
	}
	return &Failure{Message: r.shown(f.Message, maxReported), Request: r.shown(f.Request, maxReported), Answer: r.shown(f.Answer, maxReported)}
}

// error hides what is secret in an error.
func (r *redactor) error(err error) error {
	if err == nil {
		return nil
	}
	return redactedError{r.shown(err.Error(), maxReported), err}
}

// redactedError is an error without what is secret. The one below cannot be had from it, but can be asked for.
type redactedError struct {
	text  string
	below error
}

// Error returns the text.
func (e redactedError) Error() string { return e.text }

// Is reports whether the error below is another one, as [errors.Is] does.
func (e redactedError) Is(target error) bool { return errors.Is(e.below, target) }
