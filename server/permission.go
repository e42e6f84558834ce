package server

import (
	"errors"
	"fmt"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

	"github.com/tokenwire/tokenwire/gen/serverapi"
)

// authorize refuses a caller whose token lacks the permission that the operation needs.
func authorize(op *operation) echo.MiddlewareFunc {
	refused := missingPermission(op.permission)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			caller, ok := callerFrom(c.Request().Context())
			if !ok || op.permission != "" && !slices.Contains(caller.Permissions, op.permission) {
				return refused
			}
			return next(c)
		}
	}
}

// noPermission is what x-required-permission says of an operation for which any good credential will do.
const noPermission = "none"

// isSecured reports whether an operation needs a credential.
func isSecured(spec *openapi3.T, op *openapi3.Operation) bool {
	if op.Security != nil {
		return len(*op.Security) > 0
	}
	return len(spec.Security) > 0
}

// requiredPermission reads x-required-permission. An operation that needs a credential must say it, and an operation
// without must not.
func requiredPermission(secured bool, op *openapi3.Operation) (string, error) {
	permission, _ := op.Extensions["x-required-permission"].(string)
	switch {
	case !secured && permission == "", permission == noPermission && secured:
		return "", nil
	case !secured:
		return "", errors.New("it needs no credential, so it must not have x-required-permission")
	case !serverapi.Permission(permission).Valid():
		return "", fmt.Errorf("x-required-permission is %q, which is no permission", permission)
	}
	return permission, nil
}
