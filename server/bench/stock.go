package main

import (
	"context"
	"net/http"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/oapi-codegen/echo-middleware"
	"github.com/oapi-codegen/nullable"

	"github.com/tokenwire/tokenwire/gen/serverapi"
)

// stockCmd serves what one gets from the same contract with the usual tools and nothing behind them: the generated strict server,
// kin-openapi's usual middleware, and handlers with a fixed answer.
type stockCmd struct {
	Addr string `required:"" help:"Address to listen on."`
}

// Run serves until the context ends.
func (cmd stockCmd) Run(ctx context.Context) error {
	handler, err := stockHandler()
	if err != nil {
		return err
	}
	return serveUntilDone(ctx, cmd.Addr, handler)
}

func stockHandler() (http.Handler, error) {
	spec, err := serverapi.GetSpec()
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.Use(echomiddleware.OapiRequestValidatorWithOptions(spec, &echomiddleware.Options{
		DoNotValidateServers: true, // the contract names SignalWire's hosts, the load comes to 127.0.0.1
		Options:              openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}))
	serverapi.RegisterHandlers(e, serverapi.NewStrictHandler(fixed{made: time.Now().UTC()}, nil))
	return e, nil
}

// fixed answers the measured operations. The others are nil in the embedded interface: nobody calls them.
type fixed struct {
	serverapi.StrictServerInterface

	made time.Time
}

// CreateToken answers with a token of the name that was asked for.
func (fixed) CreateToken(_ context.Context, request serverapi.CreateTokenRequestObject) (serverapi.CreateTokenResponseObject, error) {
	return serverapi.CreateToken200JSONResponse{Body: fixedToken(uuid.MustParse(sampleID), request.JSONBody.Name)}, nil
}

// UpdateToken answers with a token of the name that was asked for.
func (fixed) UpdateToken(_ context.Context, request serverapi.UpdateTokenRequestObject) (serverapi.UpdateTokenResponseObject, error) {
	return serverapi.UpdateToken200JSONResponse{Body: fixedToken(request.TokenID, *request.JSONBody.Name)}, nil
}

// DeleteToken deletes nothing.
func (fixed) DeleteToken(context.Context, serverapi.DeleteTokenRequestObject) (serverapi.DeleteTokenResponseObject, error) {
	return serverapi.DeleteToken204Response{}, nil
}

// GetToken answers with the token that was asked for.
func (f fixed) GetToken(_ context.Context, request serverapi.GetTokenRequestObject) (serverapi.GetTokenResponseObject, error) {
	return serverapi.GetToken200JSONResponse{Body: serverapi.TokenSummary{
		ID: request.TokenID, Name: filledName, Permissions: []serverapi.Permission{serverapi.PermissionFax},
		ProjectID: request.AccountSid, SecretLastFour: sampleLastFour, CreatedAt: f.made, UpdatedAt: f.made,
		LastUsedAt: nullable.NewNullNullable[serverapi.OptionalTime](), ExpiresAt: nullable.NewNullNullable[serverapi.OptionalTime](),
	}}, nil
}

// ListTokens answers with what tokenwire sends to who may not list.
func (fixed) ListTokens(context.Context, serverapi.ListTokensRequestObject) (serverapi.ListTokensResponseObject, error) {
	return serverapi.ListTokens401JSONResponse{UnauthorizedJSONResponse: serverapi.UnauthorizedJSONResponse{
		Body: serverapi.Error{
			Code: sampleCode, Message: sampleRefusal, MoreInfo: sampleMoreInfo, Status: http.StatusUnauthorized,
		},
		Headers: serverapi.UnauthorizedResponseHeaders{WWWAuthenticate: "Basic"},
	}}, nil
}

func fixedToken(id uuid.UUID, name string) serverapi.Token {
	return serverapi.Token{ID: id, Name: name, Permissions: []serverapi.Permission{serverapi.PermissionFax}, Token: sampleSecret}
}
