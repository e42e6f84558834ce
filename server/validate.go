package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
)

// schemaOptions returns how kin-openapi is asked: all failures of a body, with the formats of the contract checked.
func schemaOptions() []openapi3.SchemaValidationOption {
	return []openapi3.SchemaValidationOption{
		openapi3.VisitAsRequest(),
		openapi3.MultiErrors(),
		openapi3.EnableFormatValidation(),
		openapi3.WithStringFormatValidators(map[string]openapi3.StringFormatValidator{
			"uuid": openapi3.NewCallbackValidator(func(text string) error {
				_, err := parseUUID(text)
				return err
			}),
			"date-time": openapi3.NewCallbackValidator(func(text string) error {
				_, err := parseTime(text)
				return err
			}),
		}),
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
func (s *Server) validate(op *operation) echo.MiddlewareFunc {
	options := schemaOptions()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			sent, err := readBody(c, op)
			if err != nil {
				return err
			}
			body, err := s.decodeAndValidate(c, op, sent, options)
			if err != nil {
				return err
			}
			if op.body == nil {
				return next(c)
			}
			c.Request().Header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
			c.Request().Body = validatedBody{c.Request().Body, body.value}
			return next(c)
		}
	}
}

// decodeAndValidate returns the body, when it and the parameters are what the contract wants.
func (s *Server) decodeAndValidate(c echo.Context, op *operation, sent sentBody, options []openapi3.SchemaValidationOption) (decodedBody, error) {
	if op.body == nil {
		return decodedBody{}, validateParams(c, op, options)
	}
	if len(sent.raw) > largeBody {
		ctx, cancel := context.WithTimeout(c.Request().Context(), s.config.RequestTimeout)
		defer cancel()
		if err := waitForTurn(ctx, s.largeBodies); err != nil {
			return decodedBody{}, err
		}
		defer s.largeBodies.Release(1)
	}
	body, err := sent.decode(op)
	if err != nil {
		return body, err
	}
	if err := validateParams(c, op, options); err != nil {
		return body, err
	}
	return body, op.validateBody(body, options)
}

// validatedBody hands the decoded body to the generated code, which looks for this method.
type validatedBody struct {
	io.ReadCloser
	value any
}

// ValidatedValue returns the decoded body.
func (b validatedBody) ValidatedValue() any { return withIntegers(b.value) }

// withIntegers turns whole numbers into integers. The generated code would write a large one with an exponent, and fail to read
// it.
func withIntegers(value any) any {
	switch v := value.(type) {
	case float64:
		if whole := int64(v); float64(whole) == v {
			return whole
		}
	case map[string]any:
		for name, member := range v {
			v[name] = withIntegers(member)
		}
	case []any:
		for i, member := range v {
			v[i] = withIntegers(member)
		}
	}
	return value
}

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
	schemaErr := op.body.VisitJSON(shorten(body.value, op.body), options...)
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
	explained := make(map[string]bool)
	for _, e := range schemaErrors(schemaErr) {
		for _, f := range explain(e, explained) {
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

// shorten cuts each list that is longer than it may be behind the first entry that is too many, which refuses it. Of a list, kin-openapi
// makes an error of some kilobytes for each wrong entry, and there may be tens of thousands.
func shorten(value any, schema *openapi3.Schema) any {
	switch v := value.(type) {
	case []any:
		if schema.MaxItems != nil && uint64(len(v)) > *schema.MaxItems {
			v = v[:*schema.MaxItems+1]
		}
		if schema.Items != nil {
			for i, entry := range v {
				v[i] = shorten(entry, schema.Items.Value)
			}
		}
		return v
	case map[string]any:
		for name, property := range schema.Properties {
			if member, given := v[name]; given {
				v[name] = shorten(member, property.Value)
			}
		}
	}
	return value
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
