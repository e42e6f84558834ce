package fuzztest_test

import (
	"encoding/hex"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
)

// generator draws requests. What it draws depends on its source and on its pool alone.
type generator struct {
	rng        *rand.Rand
	operations []*operation // that are drawn
	all        []*operation
	pool       *pool
	options    []openapi3.SchemaValidationOption
}

// chance is true once in n times.
func (g *generator) chance(n int) bool { return g.rng.IntN(n) == 0 }

// between draws a number, bounds included.
func (g *generator) between(from, to int) int { return from + g.rng.IntN(to-from+1) }

func pick[T any](g *generator, list []T) T { return list[g.rng.IntN(len(list))] }

func sortedKeys[M ~map[string]V, V any](m M) []string { return slices.Sorted(maps.Keys(m)) }

// fits reports whether a value is valid.
func (g *generator) fits(schema *openapi3.Schema, value any) bool {
	return schema.VisitJSON(value, g.options...) == nil
}

func schemaOptions() []openapi3.SchemaValidationOption {
	return []openapi3.SchemaValidationOption{
		openapi3.VisitAsRequest(), openapi3.EnableFormatValidation(),
		openapi3.WithStringFormatValidator("uuid", openapi3.NewCallbackValidator(func(text string) error {
			if len(text) != 36 {
				return errors.New("not the one written form")
			}
			_, err := uuid.Parse(text)
			return err
		})),
	}
}

// value draws a valid value.
func (g *generator) value(schema *openapi3.Schema) any {
	switch {
	case schema.Nullable && g.chance(6):
		return nil
	case len(schema.Enum) > 0:
		return pick(g, schema.Enum)
	case schema.Type.Is(openapi3.TypeObject):
		return g.object(schema)
	case schema.Type.Is(openapi3.TypeArray):
		return g.array(schema)
	case schema.Type.Is(openapi3.TypeInteger):
		return g.integer(schema)
	case schema.Type.Is(openapi3.TypeBoolean):
		return g.chance(2)
	case schema.Format == "uuid":
		return g.uuid()
	case schema.Format == "date-time":
		return g.time(1971, 9998)
	}
	return g.text(schema)
}

func (g *generator) object(schema *openapi3.Schema) map[string]any {
	object := make(map[string]any)
	for _, name := range sortedKeys(schema.Properties) {
		if slices.Contains(schema.Required, name) || g.chance(2) {
			object[name] = g.value(schema.Properties[name].Value)
		}
	}
	return object
}

// array draws few items as a rule, and as many as there may be now and then where they are small.
func (g *generator) array(schema *openapi3.Schema) []any {
	most := 3
	if len(schema.Items.Value.Enum) > 0 && g.chance(8) {
		most = int(*schema.MaxItems)
	}
	list := []any{}
	for range g.between(int(schema.MinItems), most) {
		list = append(list, g.value(schema.Items.Value))
	}
	return list
}

func (g *generator) integer(schema *openapi3.Schema) int64 {
	least, most := int64(*schema.Min), int64(*schema.Max)
	switch g.rng.IntN(6) {
	case 0:
		return least
	case 1:
		return most
	case 2:
		return least + g.rng.Int64N(most-least+1)
	}
	return min(most, least+g.rng.Int64N(20))
}

func (g *generator) uuid() string {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(g.rng.UintN(256))
	}
	return id.String()
}

// secret draws the secret of a token that nobody has.
func (g *generator) secret() string {
	random := make([]byte, 24)
	for i := range random {
		random[i] = byte(g.rng.UintN(256))
	}
	return "PT" + hex.EncodeToString(random)
}

// time draws a time within these years in one of the ways in which RFC 3339 writes it.
func (g *generator) time(from, to int) string {
	at := time.Date(g.between(from, to), time.Month(g.between(1, 12)), g.between(1, 28), g.rng.IntN(24), g.rng.IntN(60), g.rng.IntN(60), 0, time.UTC)
	text := at.Format("2006-01-02T15:04:05")
	if g.chance(3) {
		text += "." + g.digits(g.between(1, 9))
	}
	if g.chance(3) {
		return text + pick(g, []string{"+00:00", "-00:00", "+01:30", "-11:59", "+23:59"})
	}
	return text + "Z"
}

func (g *generator) digits(n int) string {
	return strings.Map(func(rune) rune { return '0' + g.rng.Int32N(10) }, strings.Repeat("0", n))
}
