package server

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"
)

// maxBody is the size of the largest body that is read, in bytes.
const maxBody = 64 << 10

// largeBody is the size from which on a body waits for its turn to be decoded: what JSON says in two bytes takes a hundred.
const largeBody = 4 << 10

// sentBody is a body as it was sent. The zero value is that of an operation that has none, or of a call that leaves it out.
type sentBody struct {
	mediaType string
	raw       []byte
}

// decodedBody is a body as the schema sees it.
type decodedBody struct {
	value any
	// notUTF8 names the properties of a form whose value is no text at all. JSON cannot have them.
	notUTF8 []string
}

// readBody reads the body of an operation that has one. What an operation without a body is sent anyway is not looked at.
func readBody(c echo.Context, op *operation) (sentBody, error) {
	if op.body == nil {
		hurryBody(c)
		return sentBody{}, nil
	}
	if own := streamsIn(c.Request().Context()); own != nil {
		defer own.bodyArrived(own.awaitBody())
	}
	if !op.bodyNeeded && isEmpty(c.Request()) {
		return sentBody{}, nil
	}
	mediaType, err := bodyMediaType(c.Request().Header, op.mediaTypes)
	if err != nil {
		return sentBody{}, err
	}
	raw, err := readBounded(c)
	return sentBody{mediaType, raw}, err
}

// decode returns the body as the schema sees it.
func (b sentBody) decode(op *operation) (decodedBody, error) {
	switch b.mediaType {
	case "":
		return decodedBody{value: map[string]any{}}, nil
	case echo.MIMEApplicationForm:
		return decodeForm(b.raw, op.body)
	}
	return decodeJSON(b.raw)
}

// hurryBody leaves a body that nobody will look at little time to arrive: net/http waits for it before it answers.
func hurryBody(c echo.Context) {
	if c.Request().ContentLength != 0 {
		_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Now().Add(patience)) // a test has no connection
	}
}

// isEmpty reports whether a request has no body. A chunked one does not say so; its first byte has to be waited for.
func isEmpty(r *http.Request) bool {
	if r.ContentLength >= 0 {
		return r.ContentLength == 0
	}
	buffered := bufio.NewReaderSize(r.Body, 16)
	_, err := buffered.Peek(1)
	r.Body = readCloser{buffered, r.Body}
	return errors.Is(err, io.EOF)
}

// bodyMediaType returns the media type of the body if it is one of those allowed, in UTF-8 and not compressed.
func bodyMediaType(header http.Header, allowed []string) (string, error) {
	mediaType, params, err := mime.ParseMediaType(header.Get(echo.HeaderContentType))
	if err != nil || !slices.Contains(allowed, mediaType) {
		return "", unsupportedMediaType("Content-Type must be " + strings.Join(allowed, " or "))
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return "", unsupportedMediaType("The body must be in UTF-8")
	}
	if encoding := header.Get(echo.HeaderContentEncoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", unsupportedMediaType("The body must not be compressed")
	}
	return mediaType, nil
}

func readBounded(c echo.Context) ([]byte, error) {
	r := c.Request()
	if r.ContentLength > maxBody {
		return nil, errTooLarge
	}
	raw, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, badRequest("The body ended too early or did not arrive in time")
	}
	return raw, nil
}

// decodeJSON is strict where encoding/json is not: a duplicate name, invalid UTF-8 and half a surrogate pair are errors.
func decodeJSON(raw []byte) (decodedBody, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return decodedBody{}, badRequest("The body is empty; it must be a JSON object")
	}
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return decodedBody{}, badRequest("The body is not valid JSON: " + jsonReason(err))
	}
	return decodedBody{value: value}, nil
}

// jsonReason takes the names of packages and types out of the decoder's message.
func jsonReason(err error) string {
	_, reason, found := strings.Cut(err.Error(), "jsontext: ")
	if !found {
		return "syntax error"
	}
	return printable(reason, 200)
}

// decodeForm turns a form into the value that the same body would have in JSON: a property that is a list collects all
// of its values, under its name with or without brackets, and any other has one. What the schema does not know is kept,
// so that it is refused by name.
func decodeForm(raw []byte, schema *openapi3.Schema) (decodedBody, error) {
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return decodedBody{}, badRequest("The body is not a valid form: " + formReason(err))
	}
	object := make(map[string]any, len(form))
	body := decodedBody{value: object}
	for _, key := range sortedKeys(form) {
		name := propertyName(key, schema)
		for _, value := range form[key] {
			if !utf8.ValidString(value) {
				body.notUTF8 = append(body.notUTF8, name)
			}
			earlier, given := object[name]
			object[name] = formValue(name, value, schema)
			switch {
			case given:
				object[name] = appendValue(earlier, object[name])
			case isList(name, schema) || name != key:
				object[name] = []any{object[name]}
			}
		}
	}
	return body, nil
}

// propertyName takes the brackets off a key if what is left is a property.
func propertyName(key string, schema *openapi3.Schema) string {
	name, bracketed := strings.CutSuffix(key, "[]")
	if _, known := schema.Properties[name]; bracketed && known {
		return name
	}
	return key
}

func isList(name string, schema *openapi3.Schema) bool {
	property, known := schema.Properties[name]
	return known && property.Value.Type.Is(openapi3.TypeArray)
}

// formValue returns the value that a text in a form stands for.
func formValue(name, text string, schema *openapi3.Schema) any {
	if property, known := schema.Properties[name]; known {
		return scalar(text, property.Value)
	}
	return text
}

// appendValue adds value to what a property has. Two values of a property that is no list make one, which its schema
// refuses: neither of them is silently preferred.
func appendValue(earlier, value any) any {
	if values, ok := earlier.([]any); ok {
		return append(values, value)
	}
	return []any{earlier, value}
}

func sortedKeys[M ~map[string]V, V any](m M) []string { return slices.Sorted(maps.Keys(m)) }

func formReason(err error) string {
	if escape, ok := errors.AsType[url.EscapeError](err); ok {
		return "invalid escape " + string(escape)
	}
	return strings.TrimPrefix(err.Error(), "net/url: ")
}
