package fuzztest_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// maxBody is the contract's bound for a body, in bytes.
const maxBody = 64 << 10

// bodyFractures break the media type, the size, the syntax or the schema of a body.
func bodyFractures() []fracture {
	return slices.Concat(mediaTypeFractures(), syntaxFractures(), schemaFractures())
}

// withBody draws a body where it was left out.
func (g *generator) withBody(d *draft) bool {
	if d.op.body == nil {
		return false
	}
	if !d.hasBody {
		g.drawBody(d, true)
	}
	return true
}

// writeAs replaces the text of the body.
func (g *generator) writeAs(d *draft, change func(text string) string) bool {
	if !g.withBody(d) {
		return false
	}
	text := change(g.writeBody(d))
	d.raw = &text
	return true
}

func mediaTypeFractures() []fracture {
	return []fracture{
		{http.StatusUnsupportedMediaType, "another media type", func(g *generator, d *draft) bool {
			keep := func(text string) string { return text + " " } // an empty form might be no body at all
			if !g.writeAs(d, keep) {
				return false
			}
			types := []string{"", "text/plain", "application/xml", "application/jsonx", "json", "*/*", "multipart/form-data; boundary=x", ";", "\xff"}
			if !slices.Contains(d.op.mediaTypes, formType) {
				types = append(types, formType)
			}
			d.header.Set("Content-Type", pick(g, types))
			return true
		}},
		{http.StatusUnsupportedMediaType, "another charset", func(g *generator, d *draft) bool {
			keep := func(text string) string { return text + " " }
			if !g.writeAs(d, keep) {
				return false
			}
			d.header.Set("Content-Type", d.mediaType()+pick(g, []string{"; charset=latin1", "; charset=utf-16", "; charset=\"\""}))
			return true
		}},
		{http.StatusUnsupportedMediaType, "a compressed body", func(g *generator, d *draft) bool {
			keep := func(text string) string { return text + " " }
			if !g.writeAs(d, keep) {
				return false
			}
			d.header.Set("Content-Encoding", pick(g, []string{"gzip", "br", "x"}))
			return true
		}},
		{http.StatusRequestEntityTooLarge, "a body that is too large", func(g *generator, d *draft) bool {
			return g.writeAs(d, func(text string) string {
				return text + strings.Repeat(" ", max(0, g.between(maxBody+1, maxBody+2000)-len(text)))
			})
		}},
	}
}

// syntaxFractures make something of a body that is no JSON, or no form.
func syntaxFractures() []fracture {
	asJSON := func(how string, change func(g *generator, text string) string) fracture {
		return fracture{http.StatusBadRequest, how, func(g *generator, d *draft) bool {
			if d.op.body == nil || d.raw != nil {
				return false
			}
			g.drawBody(d, true)
			d.header.Set("Content-Type", jsonType)
			return g.writeAs(d, func(text string) string { return change(g, strings.TrimSpace(text)) })
		}}
	}
	member := func(text, member string) string { // after the brace
		if rest := text[1:]; strings.TrimSpace(rest) != "}" {
			return text[:1] + member + "," + rest
		}
		return "{" + member + "}"
	}
	return []fracture{
		asJSON("JSON that ends too early", func(g *generator, text string) string { return text[:g.between(1, len(text)-1)] }),
		asJSON("JSON with something behind it", func(g *generator, text string) string { return text + pick(g, []string{"x", "{}", "\x00", "]", ","}) }),
		asJSON("JSON with a name twice", func(_ *generator, text string) string { return member(text, `"twice":1,"twice":1`) }),
		asJSON("JSON that is no UTF-8", func(g *generator, text string) string {
			return member(text, "\"x\":\""+pick(g, []string{"\xff", "\xc3", "\xed\xa0\x80", "\xc0\x80", `\ud800`, `\udc00x`})+`"`)
		}),
		asJSON("JSON with what JSON has not", func(g *generator, text string) string {
			return member(text, `"x":`+pick(g, []string{"NaN", "01", "'a'", "undefined", "+1", "1.", ".5", "\"\n\"", "/**/1", "True", `"\x"`}))
		}),
		asJSON("white space for a body", func(g *generator, _ string) string { return pick(g, []string{" ", "\n", "\r\n\t "}) }),
		asJSON("JSON that is nested without end", func(g *generator, text string) string {
			depth := g.between(10_500, 20_000)
			return member(text, `"x":`+strings.Repeat("[", depth)+strings.Repeat("]", depth))
		}),
		{http.StatusBadRequest, "a form with a broken escape", func(g *generator, d *draft) bool {
			if !slices.Contains(d.op.mediaTypes, formType) || !g.withBody(d) {
				return false
			}
			text := pick(g, []string{"name=%", "name=%zz", "%=x", "a;b=c"})
			d.header.Set("Content-Type", formType)
			d.raw = &text
			return true
		}},
	}
}

// schemaFractures are about bodies that can be read, and say what must not be said.
func schemaFractures() []fracture {
	state := func(how, name string, value func(*generator) any) fracture {
		return fracture{http.StatusUnprocessableEntity, how, func(g *generator, d *draft) bool {
			if !d.op.secured || d.op.body == nil || d.op.body.Properties[name] == nil || d.raw != nil || d.object() == nil {
				return false
			}
			d.object()[name] = value(g)
			return true
		}}
	}
	unfit := fracture{http.StatusUnprocessableEntity, "a body that does not fit its schema", func(g *generator, d *draft) bool {
		if d.raw != nil || !g.withBody(d) {
			return false
		}
		form := strings.HasPrefix(d.mediaType(), formType)
		for range 10 {
			broken, done := g.breakValue(d.op.body, d.value, form)
			if !done || g.fits(d.op.body, broken) || form && !expressible(d.op.body, broken) {
				continue
			}
			if text, err := json.Marshal(broken); err == nil && len(text) < maxBody/6 { // escapes make it longer
				d.value = broken
				return true
			}
		}
		return false
	}}
	return append(slices.Repeat([]fracture{unfit}, 5), []fracture{ // it is many ways in one
		{http.StatusUnprocessableEntity, "huge numbers", func(g *generator, d *draft) bool {
			if d.op.body == nil || d.raw != nil {
				return false
			}
			g.drawBody(d, true)
			d.header.Set("Content-Type", jsonType)
			d.want = []int{http.StatusBadRequest, http.StatusUnprocessableEntity} // a number may be beyond what JSON's reader has
			text := `{"huge":` + pick(g, []string{"1e999", "-1e400", "1" + strings.Repeat("0", 5000), "1e-999", "123456789012345678901234567890"}) + "}"
			d.raw = &text
			return true
		}},
		state("a time that has passed", "expires_at", func(g *generator) any { return g.time(1971, 2020) }),
		state("somebody else's subproject", "subproject_id", func(g *generator) any { return pick(g, []string{g.uuid(), g.pool.stranger, g.pool.root.id}) }),
		{http.StatusUnprocessableEntity, "a property of a form twice", func(g *generator, d *draft) bool {
			if d.raw != nil || !strings.HasPrefix(d.mediaType(), formType) {
				return false
			}
			for _, name := range sortedKeys(d.object()) {
				if _, isList := d.object()[name].([]any); !isList {
					text := name + "=x&" + g.writeBody(d)
					d.raw = &text
					return true
				}
			}
			return false
		}},
		{http.StatusUnprocessableEntity, "a form that is no UTF-8", func(g *generator, d *draft) bool {
			if d.raw != nil || !strings.HasPrefix(d.mediaType(), formType) {
				return false
			}
			text := g.writeBody(d) + pick(g, []string{"&other=%FF", "&%FF=x", "&other=\xc3"})
			d.raw = &text
			return true
		}},
	}...)
}

// expressible reports whether a form can say a value that does not fit: an empty list or a null is left out or empty there.
func expressible(schema *openapi3.Schema, value any) bool {
	object, isObject := value.(map[string]any)
	for name, member := range object {
		switch v := member.(type) {
		case nil, map[string]any:
			return false
		case string:
			if property := schema.Properties[name]; v == "" && property != nil && property.Value.Nullable {
				return false
			}
		case []any:
			if len(v) == 0 || slices.ContainsFunc(v, func(item any) bool { _, isText := item.(string); return !isText }) {
				return false
			}
		}
	}
	return isObject
}

// breakValue returns a value that probably does not fit a schema any more, made from one that does.
func (g *generator) breakValue(schema *openapi3.Schema, value any, form bool) (any, bool) {
	if !form && g.chance(5) {
		return pick(g, []any{nil, true, int64(1), 1.5, "text", []any{}, []any{"text"}, map[string]any{}, map[string]any{"a": int64(1)}}), true
	}
	if !g.fits(schema, value) { // it was broken before
		return nil, false
	}
	switch v := value.(type) {
	case map[string]any:
		return g.breakObject(schema, maps.Clone(v), form)
	case []any:
		return g.breakArray(schema, slices.Clone(v), form)
	case string:
		return g.breakText(schema, v), true
	case int64:
		return pick(g, []any{int64(*schema.Min) - 1, int64(*schema.Max) + 1, -1e300, 0.5, "1x", "", " 1"}), true
	}
	return nil, false
}

func (g *generator) breakObject(schema *openapi3.Schema, object map[string]any, form bool) (any, bool) {
	names := sortedKeys(schema.Properties)
	switch {
	case len(schema.Required) > 0 && g.chance(4):
		delete(object, pick(g, schema.Required))
	case g.chance(4):
		object[pick(g, []string{"unknown", "", "Name", "permisions", "__proto__", strings.Repeat("x", 200), "a\u0000b", "名"})] = "x"
	default:
		name := pick(g, names)
		property := schema.Properties[name].Value
		value, given := object[name]
		if !given || value == nil {
			value = g.value(property)
		}
		broken, done := g.breakValue(property, value, form)
		object[name] = broken
		return object, done
	}
	return object, true
}

func (g *generator) breakArray(schema *openapi3.Schema, list []any, form bool) (any, bool) {
	if len(list) == 0 {
		list = append(list, g.value(schema.Items.Value))
	}
	switch g.rng.IntN(3) {
	case 0:
		return slices.Repeat(list[:1], int(*schema.MaxItems)+1), true
	case 1:
		return []any{}, true
	}
	i := g.rng.IntN(len(list))
	broken, done := g.breakValue(schema.Items.Value, list[i], form)
	list[i] = broken
	return list, done
}

func (g *generator) breakText(schema *openapi3.Schema, text string) string {
	longer := text
	if schema.MaxLength != nil {
		longer += strings.Repeat("é", int(*schema.MaxLength)+1-min(len([]rune(text)), int(*schema.MaxLength)))
	}
	return pick(g, []string{longer, "", " \u00a0\u3000", "\x00" + text, text + "\x00", strings.ToUpper(text), "nothing", strings.Replace(text, "-", "+", 1)})
}
