package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// bareCmd serves handlers that do nothing but what HTTP and JSON cost: no credential, no validation, no storage.
type bareCmd struct {
	Addr    string `required:"" help:"Address to listen on."`
	Profile string `help:"Where a CPU profile goes, if one is wanted."`
}

// Run serves until the context ends.
func (cmd bareCmd) Run(ctx context.Context) error {
	serve := func() error { return serveUntilDone(ctx, cmd.Addr, bareHandler()) }
	if cmd.Profile == "" {
		return serve()
	}
	return profiled(cmd.Profile, serve)
}

// The routes are those of the contract, in Echo's spelling.
const (
	tokensRoute = "/api/laml/2010-04-01/Accounts/:AccountSid/tokens" //nolint:gosec // a path
	tokenRoute  = tokensRoute + "/:token_id"
	verifyRoute = "/api/tokens/verify"
)

// bareBody and the answers have the fields, and so the size, of tokenwire's.
type bareBody struct {
	Name        string   `json:"name"`
	Permissions []string `json:"permissions"`
}

type bareToken struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Permissions []string `json:"permissions"`
	Token       string   `json:"token"`
}

type bareSummary struct {
	ID             string    `json:"id"`
	Name           string    `json:"name"`
	Permissions    []string  `json:"permissions"`
	ProjectID      string    `json:"project_id"`
	SecretLastFour string    `json:"secret_last_four"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
	LastUsedAt     *string   `json:"last_used_at"`
	ExpiresAt      *string   `json:"expires_at"`
}

type bareError struct {
	Code     int    `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
	Status   int    `json:"status"`
}

// What the servers without a database answer with: of the same size as tokenwire's.
const (
	sampleID       = "01a20aec-ac43-7c25-b49f-f6de67b7fe87"
	sampleSecret   = "PT000000000000000000000000000000000000000000000000"
	sampleLastFour = "0000"
	sampleCode     = 20003
	sampleRefusal  = `This API token lacks the permission "management"`
	sampleMoreInfo = "http://127.0.0.1:8080/docs/errors#20003"
)

func bareHandler() http.Handler {
	e := echo.New()
	// The decoder, not c.Bind: that also looks at path and query, and the bare handler shall be the cheapest that there is.
	write := func(c echo.Context) error {
		var body bareBody
		if err := json.NewDecoder(c.Request().Body).Decode(&body); err != nil {
			return err
		}
		id := c.Param("token_id")
		if id == "" {
			id = sampleID
		}
		return c.JSON(http.StatusOK, bareToken{ID: id, Name: body.Name, Permissions: []string{"fax"}, Token: sampleSecret})
	}
	e.PATCH(tokenRoute, write)
	e.POST(tokensRoute, write)
	nothing := func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }
	e.DELETE(tokenRoute, nothing)
	e.GET(verifyRoute, nothing)
	made := time.Now().UTC().Truncate(time.Microsecond)
	e.GET(tokenRoute, func(c echo.Context) error {
		return c.JSON(http.StatusOK, bareSummary{
			ID: c.Param("token_id"), Name: filledName, Permissions: []string{filledPermission}, ProjectID: c.Param("AccountSid"),
			SecretLastFour: sampleLastFour, CreatedAt: made, UpdatedAt: made,
		})
	})
	e.GET(tokensRoute, func(c echo.Context) error {
		return c.JSON(http.StatusOK, bareError{
			Code: sampleCode, Message: sampleRefusal, MoreInfo: sampleMoreInfo, Status: http.StatusUnauthorized,
		})
	})
	return e
}

// serveUntilDone serves with the settings that everybody has.
func serveUntilDone(ctx context.Context, address string, handler http.Handler) error {
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
