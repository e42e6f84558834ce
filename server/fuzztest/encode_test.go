package fuzztest_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
)

// encodeJSON writes a value as JSON in one of the many ways that there are: the order of properties, white space, escapes.
func (g *generator) encodeJSON(value any) string {
	var b strings.Builder
	g.writeJSON(&b, value)
	return b.String()
}

func (g *generator) writeJSON(b *strings.Builder, value any) {
	if g.chance(20) {
		b.WriteString(pick(g, []string{" ", "\n", "\t", "\r\n  "}))
	}
	switch v := value.(type) {
	case map[string]any:
		names := sortedKeys(v)
		g.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		writeList(b, '{', len(names), '}', func(i int) {
			g.writeText(b, names[i])
			b.WriteByte(':')
			g.writeJSON(b, v[names[i]])
		})
	case []any:
		writeList(b, '[', len(v), ']', func(i int) { g.writeJSON(b, v[i]) })
	case string:
		g.writeText(b, v)
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
		if g.chance(20) {
			b.WriteString(".0") // a whole number all the same
		}
	default:
		encoded, err := json.Marshal(value)
		if err != nil {
			panic(err) // nothing else is drawn
		}
		b.Write(encoded)
	}
}

func writeList(b *strings.Builder, open byte, n int, closing byte, item func(int)) {
	b.WriteByte(open)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		item(i)
	}
	b.WriteByte(closing)
}

// writeText escapes characters that need no escape too, now and then.
func (g *generator) writeText(b *strings.Builder, text string) {
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r < ' ' || r == '"' || r == '\\' || g.chance(40):
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(b, `\u%04x`, unit)
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}

// encodeForm writes an object as a form. An empty list cannot be written, and is left out.
func (g *generator) encodeForm(object map[string]any) string {
	var fields []string
	for _, name := range sortedKeys(object) {
		list, isList := object[name].([]any)
		if !isList {
			fields = append(fields, url.QueryEscape(name)+"="+url.QueryEscape(plain(object[name])))
			continue
		}
		key := name
		if g.chance(3) {
			key += pick(g, []string{"[]", "%5B%5D"})
		}
		for _, item := range list {
			fields = append(fields, key+"="+url.QueryEscape(plain(item)))
		}
	}
	return strings.Join(fields, "&")
}

// plain writes a value as a parameter or as a field of a form.
func plain(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}
