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
			if !ok || !slices.Contains(caller.Permissions, op.permission) {
				return refused
			}
			return next(c)
		}
	}
}

// requiredPermission reads x-required-permission. An operation that needs a credential must say it, and an operation
// without must not.
func requiredPermission(spec *openapi3.T, op *openapi3.Operation) (string, error) {
	security := spec.Security
	if op.Security != nil {
		security = *op.Security
	}
	permission, _ := op.Extensions["x-required-permission"].(string)
	switch {
	case len(security) == 0 && permission == "":
		return "", nil
	case len(security) == 0:
		return "", errors.New("it needs no credential, so it must not have x-required-permission")
	case !serverapi.Permission(permission).Valid():
		return "", fmt.Errorf("x-required-permission is %q, which is no permission", permission)
	}
	return permission, nil
}
