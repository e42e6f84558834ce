package server

import (
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/secret"
)

const (
	// catalogue is where each code has its entry, below the server's public URL.
	catalogue = "/docs/errors#"

	// The contract's bounds on what an error repeats of a request.
	maxAttribute = 100
	maxMessage   = 1000
)

// errorShapes name the schemas of an operation's error bodies: the vendor has several.
type errorShapes struct {
	failed  string // of every error but 422
	invalid string // of a 422; "" when the operation has none
}

// The schemas of error bodies.
const (
	shapeError        = "Error"                  // compat: code, message, more_info, status
	shapeFirstField   = "ValidationError"        // compat, tokens: the first property that failed
	shapeNative       = "NativeError"            // native: the reason phrase
	shapeNativeFields = "NativeValidationErrors" // native: each property that failed
)

// loadErrorShapes reads from the contract which bodies an operation's errors have.
func loadErrorShapes(responses *openapi3.Responses) (errorShapes, error) {
	shapes := errorShapes{failed: shapeOf(responses.Value("500")), invalid: shapeOf(responses.Value("422"))}
	if shapes.failed != shapeError && shapes.failed != shapeNative {
		return shapes, fmt.Errorf("the body of its 500 is %q, which no error can fill", shapes.failed)
	}
	switch shapes.invalid {
	case "", shapeError, shapeFirstField, shapeNativeFields:
		return shapes, nil
	}
	return shapes, fmt.Errorf("the body of its 422 is %q, which no error can fill", shapes.invalid)
}

func shapeOf(response *openapi3.ResponseRef) string {
	if response == nil {
		return ""
	}
	return path.Base(response.Value.Content[echo.MIMEApplicationJSON].Schema.Ref)
}

// noteOperation notes what a request means, before anything can fail: the bodies of its errors depend on it.
func noteOperation(op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			notesOf(c.Request().Context()).op = op
			return next(c)
		}
	}
}

// shapesOf returns the shapes for a request. One that is no operation gets those of the surface that its path is on.
func shapesOf(c echo.Context) errorShapes {
	if op := notesOf(c.Request().Context()).op; op != nil {
		return op.errors
	}
	if strings.HasPrefix(c.Request().URL.Path, nativeBase) {
		return errorShapes{failed: shapeNative, invalid: shapeNativeFields}
	}
	return errorShapes{failed: shapeError, invalid: shapeFirstField}
}

// answer returns the status and the body of a problem. Codes are explained below the URL.
func (p *problem) answer(shapes errorShapes, url string) (int, any) {
	if len(p.fields) == 0 {
		return p.status, p.failedBody(shapes.failed, url)
	}
	const status = http.StatusUnprocessableEntity
	first := p.fields[0]
	switch shapes.invalid {
	case shapeNativeFields:
		return status, nativeFields(p.fields, url)
	case shapeError:
		return status, (&problem{status: status, code: first.kind.compatCode(), message: first.message}).failedBody(shapeError, url)
	default:
		code := strconv.Itoa(first.kind.compatCode())
		return status, serverapi.ValidationError{
			Type:      serverapi.ValidationErrorTypeValidationError,
			Code:      serverapi.ValidationErrorCode(code),
			Message:   printable(first.message, maxMessage),
			Attribute: printable(first.attribute, maxAttribute),
			URL:       url + catalogue + code,
		}
	}
}

func (p *problem) failedBody(shape, url string) any {
	if shape == shapeNative {
		return serverapi.NativeError{Error: serverapi.NativeErrorError(reason(p.status))}
	}
	return serverapi.Error{
		Code: int32(p.code), Message: printable(p.message, maxMessage), MoreInfo: url + catalogue + strconv.Itoa(p.code), //nolint:gosec // five digits
		Status: int32(p.status), //nolint:gosec // three digits
	}
}

// reason returns the reason phrase of a status, in the words of the current HTTP specification.
func reason(status int) string {
	if status == http.StatusRequestEntityTooLarge {
		return "Content Too Large"
	}
	return http.StatusText(status)
}

func nativeFields(fields []fieldError, url string) serverapi.NativeValidationErrors {
	list := make([]serverapi.NativeValidationError, 0, len(fields))
	for _, field := range fields {
		code := field.kind.nativeCode()
		list = append(list, serverapi.NativeValidationError{
			Type:      serverapi.NativeValidationErrorTypeValidationError,
			Code:      code,
			Message:   printable(field.message, maxMessage),
			Attribute: printable(field.attribute, maxAttribute),
			URL:       url + catalogue + string(code),
		})
	}
	return serverapi.NativeValidationErrors{Errors: list}
}

// compatCode returns the code that the Compatibility API has for a failed property.
func (k fieldKind) compatCode() int {
	switch k {
	case invalidPermissions:
		return codeInvalidPermission
	case invalidSubproject:
		return codeForeignSubproject
	default:
		return codeInvalid
	}
}

// nativeCode returns the word that the native surface has for it.
func (k fieldKind) nativeCode() serverapi.NativeValidationErrorCode {
	switch k {
	case missingField:
		return serverapi.NativeValidationErrorCodeMissingRequiredParameter
	case invalidPermissions:
		return serverapi.NativeValidationErrorCodeInvalidAuthTokenPermissions
	case invalidSubproject:
		return serverapi.NativeValidationErrorCodeInvalidSubprojectID
	default:
		return serverapi.NativeValidationErrorCodeInvalidParameter
	}
}

// printable is what an answer or the log may repeat of a request: without anything that looks like a secret, and bounded. It
// masks first: a secret that was cut looks like none.
func printable(text string, limit int) string { return cut(secret.Mask(text), limit) }
