package contract

import (
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/tokenwire/tokenwire"
)

// spec is openapi.yaml, to hold answers against.
type spec struct {
	doc     *openapi3.T
	routes  []specRoute
	options []openapi3.SchemaValidationOption
}

type specRoute struct {
	pattern *regexp.Regexp
	item    *openapi3.PathItem
}

// contractSpec reads openapi.yaml, once for all runs of a process.
var contractSpec = sync.OnceValues(loadSpec)

func loadSpec() (*spec, error) {
	doc, err := openapi3.NewLoader().LoadFromData([]byte(tokenwire.OpenAPI()))
	if err != nil {
		return nil, err
	}
	s := &spec{doc: doc, options: schemaOptions()}
	segment := regexp.MustCompile(`\\\{[^/]+\\\}`)
	for template, item := range doc.Paths.Map() {
		pattern, err := regexp.Compile("^" + segment.ReplaceAllString(regexp.QuoteMeta(template), "[^/]+") + "$")
		if err != nil {
			return nil, err
		}
		s.routes = append(s.routes, specRoute{pattern, item})
	}
	return s, nil
}

// documentedHeaders is the headers that the contract has, besides Content-Type.
func documentedHeaders() []string {
	return []string{"Content-Type", "Www-Authenticate", "Allow", "Retry-After", "X-Request-Id"}
}

// item returns what the contract has at a path, and nil where it has nothing.
func (s *spec) item(path string) *openapi3.PathItem {
	path, _, _ = strings.Cut(path, "?")
	if rest, short := strings.CutPrefix(path, "/2010-04-01/"); short {
		path = compatBase + "/" + rest
	}
	if strings.HasPrefix(path, compatBase+"/") {
		path = strings.TrimSuffix(path, ".json")
	}
	for _, route := range s.routes {
		if route.pattern.MatchString(path) {
			return route.item
		}
	}
	return nil
}

// check returns how an answer differs from what the contract documents, or "".
func (s *spec) check(ex *exchange) string {
	method, item := ex.call.method, s.item(ex.call.path)
	if item == nil {
		return s.checkRefusal(ex, http.StatusNotFound)
	}
	head := method == http.MethodHead && item.Get != nil
	switch {
	case head:
		method = http.MethodGet
	case method == http.MethodOptions:
		return s.checkOptions(ex)
	}
	operation := item.Operations()[method] // GetOperation panics at a method that it does not know
	if operation == nil {
		return s.checkRefusal(ex, http.StatusMethodNotAllowed)
	}
	response := operation.Responses.Value(strconv.Itoa(ex.status))
	if response == nil {
		documented := slices.Sorted(maps.Keys(operation.Responses.Map()))
		return fmt.Sprintf("status %d is not documented for %s, which has %s", ex.status, operation.OperationID, strings.Join(documented, ", "))
	}
	if difference := s.checkHeaders(ex, response.Value.Headers); difference != "" {
		return difference
	}
	if head {
		return checkEmpty(ex)
	}
	content := response.Value.Content.Get(jsonType)
	if content == nil {
		return checkEmpty(ex)
	}
	return s.checkBody(ex, content.Schema.Value)
}

func (s *spec) checkOptions(ex *exchange) string {
	if ex.status != http.StatusNoContent {
		return fmt.Sprintf("status %d for OPTIONS, want 204", ex.status)
	}
	if difference := s.checkHeaders(ex, openapi3.Headers{"Allow": s.doc.Components.Headers["Allow"]}); difference != "" {
		return difference
	}
	return checkEmpty(ex)
}

// checkRefusal is for what is no operation: a path or a method that the contract does not have.
func (s *spec) checkRefusal(ex *exchange, status int) string {
	if ex.status != status {
		return fmt.Sprintf("status %d, and the contract has no such operation: want %d", ex.status, status)
	}
	headers := openapi3.Headers{"X-Request-Id": s.doc.Components.Headers["X-Request-Id"]}
	if status == http.StatusMethodNotAllowed {
		headers["Allow"] = s.doc.Components.Headers["Allow"]
	}
	if difference := s.checkHeaders(ex, headers); difference != "" {
		return difference
	}
	if ex.call.method == http.MethodHead {
		return checkEmpty(ex)
	}
	schema := "Error"
	escaped, _, _ := strings.Cut(ex.call.path, "?")
	if path, err := url.PathUnescape(escaped); err == nil && strings.HasPrefix(path, "/api/project/") {
		schema = "NativeError"
	}
	return s.checkBody(ex, s.doc.Components.Schemas[schema].Value)
}

func checkEmpty(ex *exchange) string {
	if len(ex.body) > 0 {
		return "the answer has a body, and the contract none"
	}
	return ""
}

func (s *spec) checkHeaders(ex *exchange, headers openapi3.Headers) string {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		values, documented := ex.header.Values(name), headers[name].Value
		if len(values) == 0 {
			if documented.Required {
				return "the header " + name + " is missing"
			}
			continue
		}
		var value any = values[0]
		if documented.Schema.Value.Type.Is(openapi3.TypeInteger) {
			number, err := strconv.ParseFloat(values[0], 64)
			if err != nil {
				return fmt.Sprintf("the header %s is %q, want a whole number", name, values[0])
			}
			value = number
		}
		if err := documented.Schema.Value.VisitJSON(value, s.options...); err != nil {
			return fmt.Sprintf("the header %s is %q: %s", name, values[0], reasons(err))
		}
	}
	return ""
}

func (s *spec) checkBody(ex *exchange, schema *openapi3.Schema) string {
	mediaType, _, err := mime.ParseMediaType(ex.header.Get("Content-Type"))
	switch {
	case err != nil || mediaType != jsonType:
		return fmt.Sprintf("the Content-Type is %q, want %s", ex.header.Get("Content-Type"), jsonType)
	case ex.decoded == nil:
		return "the body is no JSON"
	}
	if err := schema.VisitJSON(ex.decoded, s.options...); err != nil {
		return "the body does not fit its schema: " + reasons(err)
	}
	return ""
}

func schemaOptions() []openapi3.SchemaValidationOption {
	return []openapi3.SchemaValidationOption{
		openapi3.VisitAsResponse(), openapi3.MultiErrors(), openapi3.EnableFormatValidation(),
		openapi3.WithStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)),
		openapi3.WithStringFormatValidator("uri", openapi3.NewRegexpFormatValidator(`^https?://[^\s/]+(/\S*)?$`)),
	}
}

// reasons says what is wrong with a value, and where, without the schema and the value that kin-openapi adds.
func reasons(err error) string {
	if many, ok := errors.AsType[openapi3.MultiError](err); ok {
		var all []string
		for _, one := range many {
			all = append(all, reasons(one))
		}
		return strings.Join(all, "; ")
	}
	if one, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		return "/" + strings.Join(one.JSONPointer(), "/") + ": " + one.Reason
	}
	return err.Error()
}
