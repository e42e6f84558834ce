package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
)

// parameter is a parameter of an operation, with what a caller is told who gets it wrong.
type parameter struct {
	name   string
	in     string
	schema *openapi3.Schema
	words  []string // those that it may be, when these are all that the schema says; else nil
	rule   string
}

func loadParameter(param *openapi3.Parameter) (parameter, error) {
	schema := param.Schema.Value
	rule, err := parameterRule(schema)
	if err != nil {
		return parameter{}, fmt.Errorf("parameter %s: %w", param.Name, err)
	}
	known := []string{openapi3.ParameterInPath, openapi3.ParameterInQuery, openapi3.ParameterInHeader}
	if !slices.Contains(known, param.In) {
		return parameter{}, fmt.Errorf("parameter %s is in %s, which is not validated", param.Name, param.In)
	}
	return parameter{param.Name, param.In, schema, wordsOf(schema), param.Name + " must " + rule}, nil
}

// wordsOf returns the texts that a schema allows when it is a list of them. To look them up takes a small part of the time that
// the validator takes.
func wordsOf(schema *openapi3.Schema) []string {
	var words []string
	for _, value := range schema.Enum {
		word, ok := value.(string)
		if !ok {
			return nil
		}
		words = append(words, word)
	}
	return words
}

// allows reports whether the schema allows a text.
func (p parameter) allows(text string, options []openapi3.SchemaValidationOption) bool {
	if p.words != nil {
		return slices.Contains(p.words, text)
	}
	return utf8.ValidString(text) && p.schema.VisitJSON(scalar(text, p.schema), options...) == nil
}

// printableASCII is how the contract writes what a header can carry.
const printableASCII = "^[!-~]+$"

// parameterRule says in words what a schema demands.
func parameterRule(schema *openapi3.Schema) (string, error) {
	switch {
	case schema.Format == "uuid":
		return "be a UUID", nil
	case schema.Format == "date-time":
		return "be a time such as 2026-11-23T09:30:00Z", nil
	case len(schema.Enum) > 0:
		return "be one of: " + joinAny(schema.Enum), nil
	case schema.Type.Is(openapi3.TypeBoolean):
		return "be true or false", nil
	case schema.Type.Is(openapi3.TypeInteger) && schema.Min != nil && schema.Max != nil:
		return fmt.Sprintf("be a whole number from %.0f to %.0f", *schema.Min, *schema.Max), nil
	case schema.Type.Is(openapi3.TypeString) && schema.MaxLength != nil:
		kind := "characters in UTF-8, none of them NUL"
		if schema.Pattern == printableASCII {
			kind = "printable ASCII characters without spaces"
		}
		return fmt.Sprintf("have %d to %d %s", schema.MinLength, *schema.MaxLength, kind), nil
	}
	return "", errors.New("it needs bounds that a message can name")
}

// validateParams holds the parameters against the contract. One that is given twice is refused: neither is preferred.
func validateParams(c echo.Context, op *operation, options []openapi3.SchemaValidationOption) error {
	if len(op.params) == 0 {
		return nil // a probe is not ill because of a query that nobody reads
	}
	query, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		return badRequest("The query of the URL is malformed: " + formReason(err))
	}
	notesOf(c.Request().Context()).query = query
	for _, param := range op.params {
		texts, err := param.texts(c, query)
		if err == nil && len(texts) == 0 && param.in != openapi3.ParameterInPath {
			continue
		}
		if len(texts) > 1 {
			return badRequest(param.name + " must be given once")
		}
		if err != nil || !param.allows(texts[0], options) {
			return param.refusal()
		}
	}
	return nil
}

// refusal is what a caller is told who gets the parameter wrong.
func (p parameter) refusal() error {
	if p.name == "PageToken" { // whatever is wrong with it, it is not one of ours
		return errPageToken
	}
	return badRequest(p.rule)
}

// texts returns what the request gives for a parameter.
func (p parameter) texts(c echo.Context, query url.Values) ([]string, error) {
	switch p.in {
	case openapi3.ParameterInQuery:
		return query[p.name], nil
	case openapi3.ParameterInHeader:
		return c.Request().Header[http.CanonicalHeaderKey(p.name)], nil
	}
	text, err := url.PathUnescape(c.Param(p.name))
	return []string{text}, err
}

// scalar turns the text of a parameter or of a form's field into the JSON value that it stands for. A text that stands for
// none stays what it is, and the schema refuses it.
func scalar(text string, schema *openapi3.Schema) any {
	switch {
	case text == "" && schema.Nullable: // a form has no other way to say null
		return nil
	case schema.Type.Is(openapi3.TypeInteger):
		if number, err := strconv.ParseInt(text, 10, 64); err == nil {
			return float64(number)
		}
	case schema.Type.Is(openapi3.TypeBoolean):
		switch text {
		case "true":
			return true
		case "false":
			return false
		}
	}
	return text
}
