package server

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
)

// schemaOptions returns how kin-openapi is asked: all failures of a body, with the formats of the contract checked.
func schemaOptions() []openapi3.SchemaValidationOption {
	return []openapi3.SchemaValidationOption{
		openapi3.VisitAsRequest(),
		openapi3.MultiErrors(),
		openapi3.EnableFormatValidation(),
		openapi3.WithStringFormatValidator("uuid", openapi3.NewCallbackValidator(func(text string) error {
			_, err := parseUUID(text)
			return err
		})),
		openapi3.WithStringFormatValidator("date-time", openapi3.NewCallbackValidator(func(text string) error {
			_, err := parseTime(text)
			return err
		})),
	}
}

var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// parseTime is as strict as RFC 3339, which time.Parse is not, and refuses what is beyond the year 9999 in UTC: no answer could
// show it.
func parseTime(text string) (time.Time, error) {
	if !rfc3339.MatchString(text) {
		return time.Time{}, errors.New("not a time of RFC 3339")
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, err
	}
	if at = at.UTC(); at.Year() > 9999 || at.Year() < 1 {
		return at, errors.New("beyond the years that RFC 3339 can write")
	}
	return at, nil
}

// validate holds a request against the contract: media type, size, syntax, path parameters, and then the schema of the
// body. The handler gets the very value that was validated, whether it came as JSON or as a form.
func validate(op *operation) echo.MiddlewareFunc {
	options := schemaOptions()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			body, err := readBody(c, op)
			if err != nil {
				return err
			}
			if err := validateParams(c, op, options); err != nil {
				return err
			}
			if op.body == nil {
				return next(c)
			}
			if err := op.validateBody(body, options); err != nil {
				return err
			}
			c.Request().Header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
			c.Request().Body = validatedBody{c.Request().Body, body.value}
			return next(c)
		}
	}
}

// validatedBody hands the decoded body to the generated code, which looks for this method.
type validatedBody struct {
	io.ReadCloser
	value any
}

// ValidatedValue returns the decoded body.
func (b validatedBody) ValidatedValue() any { return b.value }

// fieldError is what is wrong with one property of a body.
type fieldError struct {
	attribute string
	kind      fieldKind
	message   string
}

// fieldKind says which code a fieldError has.
type fieldKind int

const (
	invalidField fieldKind = iota
	missingField
	invalidPermissions
	invalidSubproject
)

// bodyAttribute stands for the body as a whole.
const bodyAttribute = "body"

// validateBody reports what is wrong with a body, at most one failure for each property, in the order of the schema's
// properties; unknown properties come last.
func (op *operation) validateBody(body decodedBody, options []openapi3.SchemaValidationOption) error {
	schemaErr := op.body.VisitJSON(body.value, options...)
	if schemaErr == nil && len(body.notUTF8) == 0 {
		return nil
	}
	found := make(map[string]fieldError)
	add := func(f fieldError) {
		if _, ok := found[f.attribute]; !ok {
			found[f.attribute] = f
		}
	}
	for _, name := range body.notUTF8 {
		add(fieldError{name, invalidField, label(name) + " must be valid UTF-8"})
	}
	for _, e := range schemaErrors(schemaErr) {
		for _, f := range op.explain(e) {
			add(f)
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("validate the body of %s: %w", op.id, schemaErr) // the contract itself is at fault
	}
	names := slices.SortedFunc(maps.Keys(found), func(a, b string) int {
		if rank := op.rank(a) - op.rank(b); rank != 0 {
			return rank
		}
		return strings.Compare(a, b)
	})
	fields := make([]fieldError, 0, len(names))
	for _, name := range names {
		fields = append(fields, found[name])
	}
	return &problem{fields: fields}
}

func (op *operation) rank(attribute string) int {
	if i := slices.Index(op.properties, attribute); i >= 0 {
		return i
	}
	return len(op.properties)
}

func schemaErrors(err error) []*openapi3.SchemaError {
	if multi, ok := errors.AsType[openapi3.MultiError](err); ok {
		var all []*openapi3.SchemaError
		for _, e := range multi {
			all = append(all, schemaErrors(e)...)
		}
		return all
	}
	if single, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		return []*openapi3.SchemaError{single}
	}
	return nil
}

// explain says in words what kin-openapi found. One of its errors stands for all unknown properties.
func (op *operation) explain(err *openapi3.SchemaError) []fieldError {
	path := err.JSONPointer()
	if len(path) > 0 {
		return []fieldError{explainProperty(path, err)}
	}
	object, ok := err.Value.(map[string]any)
	if !ok {
		return []fieldError{{bodyAttribute, invalidField, "The body must be an object"}}
	}
	var unknown []fieldError
	for name := range object {
		if _, known := op.body.Properties[name]; !known {
			hint := ""
			if strings.HasPrefix(name, "{") {
				hint = ". A JSON body needs the header Content-Type: application/json"
			}
			unknown = append(unknown, fieldError{name, invalidField, fmt.Sprintf(
				"%q is no property of this body. Its properties are: %s%s", printable(name, maxAttribute), strings.Join(op.properties, ", "), hint)})
		}
	}
	return unknown
}

func explainProperty(path []string, err *openapi3.SchemaError) fieldError {
	name := path[0]
	if len(path) > 1 || err.SchemaField == "enum" {
		return explainItem(name, err)
	}
	f := fieldError{name, invalidField, label(name) + " "}
	schema := err.Schema
	switch err.SchemaField {
	case "required":
		f.kind = missingField
		f.message += "must be present"
	case "nullable":
		f.message += "must not be null"
	case "type":
		f.message += "must be " + typeName(schema)
	case "maxItems":
		f.message += fmt.Sprintf("must have at most %d entries", *schema.MaxItems)
	case "minItems":
		f.message += fmt.Sprintf("must have at least %d entry", schema.MinItems)
	case "minimum", "maximum":
		f.message += fmt.Sprintf("must be from %.0f to %.0f", *schema.Min, *schema.Max)
	default:
		if isBlank(err) {
			f.kind = missingField
		}
		f.message += explainText(err)
	}
	return f
}

// explainItem is about an entry of a list. The lists of this contract hold permissions.
func explainItem(name string, err *openapi3.SchemaError) fieldError {
	return fieldError{name, invalidPermissions, fmt.Sprintf("%s contain an invalid selection. Valid %s are: %s",
		label(name), name, joinAny(err.Schema.Enum))}
}

func joinAny(values []any) string {
	texts := make([]string, 0, len(values))
	for _, value := range values {
		texts = append(texts, fmt.Sprint(value))
	}
	return strings.Join(texts, ", ")
}

// isBlank recognises a text that is there and says nothing. The vendor treats it as missing.
func isBlank(err *openapi3.SchemaError) bool {
	text, ok := err.Value.(string)
	return ok && err.Schema.Format == "" && strings.TrimSpace(text) == ""
}

func explainText(err *openapi3.SchemaError) string {
	text, _ := err.Value.(string)
	switch {
	case err.Schema.Format == "uuid":
		return "must be a UUID"
	case err.Schema.Format == "date-time":
		return "must be a time such as 2026-11-23T09:30:00Z"
	case isBlank(err):
		return "must be present"
	case err.SchemaField == "maxLength":
		return fmt.Sprintf("is too long (at most %d characters)", *err.Schema.MaxLength)
	case strings.ContainsRune(text, 0):
		return "must not contain the character NUL"
	}
	return "is invalid"
}

func typeName(schema *openapi3.Schema) string {
	switch {
	case schema.Type.Is(openapi3.TypeArray):
		return "a list"
	case schema.Type.Is(openapi3.TypeString):
		return "a single string"
	case schema.Type.Is(openapi3.TypeInteger):
		return "a whole number"
	}
	return "of another type"
}

// label turns the name of a property into the beginning of a sentence, as the vendor does.
func label(name string) string {
	words := strings.ReplaceAll(printable(name, maxAttribute), "_", " ")
	first, size := utf8.DecodeRuneInString(words)
	return string(unicode.ToUpper(first)) + words[size:]
}
