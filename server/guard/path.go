package guard

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	compatBase = "/api/laml/2010-04-01/"
	// twilioBase is how clients that descend from Twilio's write it.
	twilioBase = "/2010-04-01/"
)

// plainPath returns the path of a URI, decoded and without a slash at its end. It refuses what a service might read in another
// way: a segment that is empty, "." or "..", or that another system would shorten; a slash, a percent sign or a delimiter that is
// encoded; a backslash, a semicolon, and what is no text.
func plainPath(uri string) (string, error) {
	path, _, _ := strings.Cut(uri, "?")
	if !strings.HasPrefix(path, "/") {
		return "", ErrAmbiguous
	}
	path, ok := decode(path)
	if !ok || !utf8.ValidString(path) {
		return "", ErrAmbiguous
	}
	path = strings.TrimSuffix(path, "/")
	for rest := path; rest != ""; {
		var segment string
		segment, rest = cutSegment(rest)
		if segment == "" || strings.HasPrefix(segment, " ") || strings.HasSuffix(segment, " ") || strings.HasSuffix(segment, ".") {
			return "", ErrAmbiguous
		}
	}
	if rest, short := strings.CutPrefix(path, twilioBase); short {
		path = compatBase + rest
	}
	return path, nil
}

// cutSegment returns the first segment of a path that begins with a slash, and the rest.
func cutSegment(path string) (string, string) {
	path = path[1:]
	if end := strings.IndexByte(path, '/'); end >= 0 {
		return path[:end], path[end:]
	}
	return path, ""
}

// decode resolves escapes. It reports false when there is a character, or an escape of one, that must not be in a path, or half
// an escape.
func decode(path string) (string, bool) {
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`\;#`, c) >= 0 {
			return "", false
		}
	}
	before, rest, escaped := strings.Cut(path, "%")
	if !escaped {
		return path, true
	}
	text := []byte(before)
	for part := range strings.SplitSeq(rest, "%") {
		if len(part) < 2 {
			return "", false
		}
		c, err := strconv.ParseUint(part[:2], 16, 8)
		if err != nil || c < ' ' || c == 0x7f || strings.IndexByte(`/\;#?%`, byte(c)) >= 0 {
			return "", false
		}
		text = append(append(text, byte(c)), part[2:]...)
	}
	return string(text), true
}
