package guard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// accountSid is the parameter that must be the caller's project or one of its subprojects.
const accountSid = "AccountSid"

// pattern is the path of a rule.
type pattern struct {
	segments []segment
	rest     bool // it ends with **: whatever follows
}

// segment is one part of a pattern: a text, or any.
type segment struct {
	text    string // "": any
	account bool
}

func parsePattern(text string) (pattern, error) {
	if !strings.HasPrefix(text, "/") {
		return pattern{}, errors.New("it must begin with a slash")
	}
	if rest, short := strings.CutPrefix(text, twilioBase); short {
		text = compatBase + rest
	}
	var p pattern
	for rest := strings.TrimSuffix(text, "/"); rest != ""; {
		var part string
		if part, rest = cutSegment(rest); part == "**" && rest == "" {
			p.rest = true
			break
		}
		s, err := parseSegment(part)
		if err != nil {
			return pattern{}, err
		}
		if s.account && slices.ContainsFunc(p.segments, func(s segment) bool { return s.account }) {
			return pattern{}, fmt.Errorf("{%s} can stand in a path once: only one is checked", accountSid)
		}
		p.segments = append(p.segments, s)
	}
	return p, nil
}

func parseSegment(part string) (segment, error) {
	if name, opened := strings.CutPrefix(part, "{"); opened {
		name, closed := strings.CutSuffix(name, "}")
		if !closed || name == "" || strings.ContainsAny(name, "{}*.") {
			return segment{}, fmt.Errorf("%q must be a name in braces, such as {Sid}, which stands for one segment", part)
		}
		if name != accountSid && strings.EqualFold(strings.NewReplacer("_", "", "-", "", " ", "").Replace(name), accountSid) {
			return segment{}, fmt.Errorf("%q must be written {%s}: any other name is not checked against the caller", part, accountSid)
		}
		return segment{account: name == accountSid}, nil
	}
	plain, err := plainPath("/" + part)
	if err != nil || plain != "/"+part || strings.ContainsAny(part, "{}*?%") {
		return segment{}, fmt.Errorf("%q must be plain text, a name in braces, or ** at the end", part)
	}
	return segment{text: part}, nil
}

// match is how a path fits a pattern.
type match int

const (
	differs match = iota
	matches
	// almost is a path that some service would take for one that matches: in another case, or with another ending than .json.
	almost
)

// match compares a plain path. It returns what stands for {AccountSid}, too.
func (p pattern) match(path string) (match, string) {
	found, account := matches, ""
	for _, want := range p.segments {
		if path == "" {
			return differs, ""
		}
		var got string
		got, path = cutSegment(path)
		switch {
		case want.account:
			account = got
			if path == "" {
				account = strings.TrimSuffix(got, ".json")
			}
		case want.text != "" && got != want.text:
			how := compare(got, want.text, path == "")
			if how == differs {
				return differs, ""
			}
			found = max(found, how)
		}
	}
	if path != "" && !p.rest {
		return differs, ""
	}
	return found, account
}

// compare compares a segment with a text that it is not equal to. The last one may have an ending.
func compare(got, want string, last bool) match {
	if first := got[0] | 0x20; first < utf8.RuneSelf && first != want[0]|0x20 {
		return differs // most do, in no time; what is no ASCII may be the same letter all the same
	}
	if strings.EqualFold(got, want) {
		return almost
	}
	base, ending, has := strings.Cut(got, ".")
	switch {
	case !last || !has || !strings.EqualFold(base, want):
		return differs
	case base == want && ending == "json":
		return matches
	}
	return almost
}
