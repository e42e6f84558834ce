package secret

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

var (
	// pattern finds the secrets of tokens and the signing keys of projects, in any case: who writes one in capitals has still given
	// it away.
	pattern = regexp.MustCompile(`(?i)(PT)[0-9a-f]{48}|(PSK)[0-9a-f]{32,}`)
	// escapes finds what percent-encoding and JSON write in place of a character.
	escapes = regexp.MustCompile(`%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\/`)
)

const (
	// fewestDigits and fewestEncoded are how many hexadecimal digits in a row every secret has, and characters its base64.
	fewestDigits  = 32
	fewestEncoded = 40
	// maxLayers is how many escapes in escapes are looked through.
	maxLayers = 3
)

// Mask returns text with every secret in it made unreadable. What users send goes through it on its way to a log, a journal or an
// error message. A secret may be in capitals, in base64, alone or as part of a credential, and percent-encoded or escaped as in
// JSON; where the text without its escapes has one, that is what is returned.
func Mask(text string) string {
	result := maskPlain(text)
	for plain, layer := result, 0; layer < maxLayers && strings.ContainsAny(plain, `%\`); layer++ {
		plain = escapes.ReplaceAllStringFunc(plain, unescape)
		if found := maskPlain(plain); found != plain {
			result, plain = found, found
		}
	}
	return result
}

// maskPlain looks through no escapes. Each request is logged: it takes the slow ways for what looks like a secret only.
func maskPlain(text string) string {
	if hasDigits(text) {
		text = pattern.ReplaceAllString(text, "$1$2…")
	}
	var result strings.Builder
	done := 0
	for start := 0; start < len(text); {
		end := start
		for end < len(text) && inBase64(text[end]) {
			end++
		}
		if end-start >= fewestEncoded && decodesToSecret(text[start:end]) {
			result.WriteString(text[done:start] + "…")
			for end < len(text) && text[end] == '=' {
				end++
			}
			done = end
		}
		start = max(end, start+1)
	}
	return result.String() + text[done:]
}

var standardAlphabet = strings.NewReplacer("-", "+", "_", "/")

// decodesToSecret reports whether a secret is in what base64 stands for. Other characters of the alphabet may be in front of it, as
// in a path.
func decodesToSecret(run string) bool {
	run = standardAlphabet.Replace(run)
	for start := range 4 {
		text := run[start:]
		if len(text)%4 == 1 {
			text = text[:len(text)-1]
		}
		decoded, err := base64.RawStdEncoding.DecodeString(text)
		if err == nil && hasDigits(decoded) && pattern.Match(decoded) {
			return true
		}
	}
	return false
}

func hasDigits[T string | []byte](text T) bool {
	row := 0
	for i := range len(text) {
		if row++; !isDigit(text[i]) {
			row = 0
		}
		if row == fewestDigits {
			return true
		}
	}
	return false
}

func isDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// inBase64 knows both alphabets.
func inBase64(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("+/-_", c) >= 0
}

// unescape returns the character that an escape stands for.
func unescape(escape string) string {
	if strings.HasPrefix(escape, "%") {
		text, _ := url.PathUnescape(escape) // two hexadecimal digits: it cannot fail
		return text
	}
	if code, err := strconv.ParseInt(strings.TrimPrefix(escape, `\u`), 16, 32); err == nil {
		return string(rune(code))
	}
	return "/"
}
