package fuzztest_test

import (
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// alphabets are what texts are made of: what people write, and what programs trip over.
func alphabets() []string {
	return []string{
		"abcdefghijklmnopqrstuvwxyz_",
		`ABC xyz 0189 "'\/<>&%+=;#?{}[]()*$|` + "`~^@!,.:-_",
		"äöüßéñŁçøÅ Ωλψ ЖФя 漢字かなカナ 한글 ไทย हिन्दी",
		"😀👩\u200d👩\u200d👧🏳\ufe0f\u200d🌈𝔘𐍈\U0010fffd",
		"\u202e\u200f\u200b\ufeff\u0301\u0300\u00ad\ufffd\ufffe\u2028\u2029\u0085\u00a0\u3000 a",
		"\x01\x07\b\t\n\v\f\r\x1b\x1f\x7f a",
	}
}

// text draws a text that fits a schema. Its lengths are often those at the bounds.
func (g *generator) text(schema *openapi3.Schema) string {
	longest := 40
	if schema.MaxLength != nil {
		longest = int(*schema.MaxLength)
	}
	for range 8 {
		n := g.between(int(schema.MinLength), min(longest, int(schema.MinLength)+30))
		if g.chance(6) {
			n = longest
		}
		if text := g.letters(n, 6); g.fits(schema, text) {
			return text
		}
	}
	if schema.Pattern != "" {
		return g.matching(schema)
	}
	return g.letters(longest, 1)
}

// letters draws a text of so many characters from one of the first alphabets.
func (g *generator) letters(n, kinds int) string {
	alphabet := []rune(alphabets()[g.rng.IntN(kinds)])
	var b strings.Builder
	for range n {
		b.WriteRune(pick(g, alphabet))
	}
	return b.String()
}

var unicodeEscape = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)

// matching draws a text from the pattern of a schema.
func (g *generator) matching(schema *openapi3.Schema) string {
	tree, err := syntax.Parse(unicodeEscape.ReplaceAllString(schema.Pattern, `\x{$1}`), syntax.Perl)
	if err != nil {
		panic(err) // kin-openapi has read it
	}
	tree = tree.Simplify()
	for range 100 {
		var b strings.Builder
		g.write(&b, tree)
		if g.fits(schema, b.String()) {
			return b.String()
		}
	}
	panic("no text fits " + schema.Pattern)
}

// write draws what one part of a pattern stands for.
func (g *generator) write(b *strings.Builder, part *syntax.Regexp) {
	switch part.Op {
	case syntax.OpLiteral:
		b.WriteString(string(part.Rune))
	case syntax.OpCharClass:
		i := 2 * g.rng.IntN(len(part.Rune)/2)
		b.WriteRune(part.Rune[i] + g.rng.Int32N(min(part.Rune[i+1]-part.Rune[i]+1, 1<<12)))
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range part.Sub {
			g.write(b, sub)
		}
	case syntax.OpAlternate:
		g.write(b, pick(g, part.Sub))
	case syntax.OpStar, syntax.OpPlus:
		for range g.between(1, 12) {
			g.write(b, part.Sub[0])
		}
	case syntax.OpQuest:
		if g.chance(2) {
			g.write(b, part.Sub[0])
		}
	default: // what matches no character
	}
}
