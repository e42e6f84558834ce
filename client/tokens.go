package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/tokenwire/tokenwire/gen/clientapi"
)

// Token is an API token.
type Token struct {
	// ID is a UUID. It identifies the token and is no secret.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Permissions is what the token may do. tokenwire lists them in alphabetical order. A permission that
	// this package does not know is passed on as it is.
	Permissions []Permission `json:"permissions"`
	// Secret is the password that goes with the Project ID. The Compatibility API documents that creating
	// and updating a token both return it. Marshalling a Token redacts it.
	Secret Secret `json:"token"`
}

// CreateTokenParams describes a new token.
type CreateTokenParams struct {
	// Name is what people call the token: 1 to 255 characters, not only white space. Names need not be unique.
	Name string
	// Permissions is what the token may do, at least one.
	Permissions []Permission
	// SubprojectID, if set, is the UUID of the subproject that shall own the token. Otherwise the account
	// that the client acts on owns it.
	SubprojectID string
	// ExpiresAt, if it is not zero, is when the token stops to authenticate. An extension of tokenwire.
	ExpiresAt time.Time
	// IdempotencyKey, if it is not empty, names this creation: 1 to 255 printable ASCII characters without spaces, such as a
	// random UUID. A tokenwire server carries it out once however often it is asked, so the request is repeated like an update.
	// SignalWire does not know such keys: leave it empty there.
	IdempotencyKey string
}

// CreateToken creates an API token and returns it with its secret. The token authenticates from the next
// request on.
//
// Without an idempotency key the request is sent once and never repeated; see the package documentation.
// Errors: [ErrUnauthorized], [ErrInvalid] when the name, a permission, the subproject or the expiry is not
// acceptable, [ErrNotFound] when the account is not the project's, [*ArgumentError].
func (c *Client) CreateToken(ctx context.Context, params CreateTokenParams) (*Token, error) {
	const name = "create token"
	account, body, err := c.createRequest(params)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c.token(ctx, operation{
		name:       name,
		repeatable: params.IdempotencyKey != "",
		request: func() (*http.Request, error) {
			headers := &clientapi.CreateTokenParams{IdempotencyKey: optional(params.IdempotencyKey)}
			return clientapi.NewCreateTokenRequest(c.server, account, headers, body)
		},
	})
}

func (c *Client) createRequest(params CreateTokenParams) (uuid.UUID, clientapi.CreateTokenRequest, error) {
	body := clientapi.CreateTokenRequest{Name: params.Name, Permissions: wirePermissions(params.Permissions)}
	account, err := parseID("account ID", c.account)
	if err != nil {
		return account, body, err
	}
	if params.SubprojectID != "" {
		subproject, err := parseID("SubprojectID", params.SubprojectID)
		if err != nil {
			return account, body, err
		}
		body.SubprojectID = &subproject
	}
	if !params.ExpiresAt.IsZero() {
		body.ExpiresAt = nullable.NewNullableWithValue(params.ExpiresAt)
	}
	if err := checkKey(params.IdempotencyKey); err != nil {
		return account, body, err
	}
	return account, body, checkText(params.Name, params.Permissions)
}

// checkKey refuses what a header cannot carry.
func checkKey(key string) error {
	const maxKey = 255
	if len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return r < '!' || r > '~' }) {
		return &ArgumentError{Argument: "IdempotencyKey", Reason: "not 1 to 255 printable ASCII characters without spaces"}
	}
	return nil
}

// optional leaves the zero value out of a request.
func optional[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// UpdateTokenParams describes what to change. Its zero value changes nothing.
type UpdateTokenParams struct {
	// Name, if not nil, is the new name: 1 to 255 characters, not only white space.
	Name *string
	// Permissions changes what the token may do: [SetPermissions] or [NoPermissions]. Left unset, it keeps them.
	Permissions PermissionChange
	// Expiry changes when the token stops to authenticate: [ExpireAt] or [NeverExpire]. Left unset, it keeps that. An
	// extension of tokenwire.
	Expiry ExpiryChange
}

// UpdateToken changes the token with the given id (a UUID) and returns it as it is now, with its secret.
// Fields that are not set keep their value, even when somebody else changes them at the same time. With
// no field set at all it changes nothing and reads the token. The next request that uses the token sees
// the change; a token may take permissions from itself.
//
// Errors: [ErrUnauthorized], [ErrNotFound] when there is no such token or it is not the account's,
// [ErrInvalid] when the name or a permission is not acceptable, [*ArgumentError].
func (c *Client) UpdateToken(ctx context.Context, id string, params UpdateTokenParams) (*Token, error) {
	const name = "update token"
	account, token, err := c.tokenPath(id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	body, err := params.wire()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c.token(ctx, operation{
		name:       name,
		repeatable: true,
		request: func() (*http.Request, error) {
			return clientapi.NewUpdateTokenRequest(c.server, account, token, body)
		},
	})
}

func (p UpdateTokenParams) wire() (clientapi.UpdateTokenRequest, error) {
	permissions, err := p.Permissions.wire()
	if err != nil {
		return clientapi.UpdateTokenRequest{}, err
	}
	var name string
	if p.Name != nil {
		name = *p.Name
	}
	body := clientapi.UpdateTokenRequest{Name: p.Name, Permissions: permissions, ExpiresAt: p.Expiry.at}
	return body, checkText(name, p.Permissions.set)
}

// DeleteToken deletes the token with the given id (a UUID). From the next request on it authenticates
// nothing.
//
// Errors: [ErrUnauthorized], [ErrNotFound] when there is no such token or it is not the account's,
// [*ArgumentError]. When an attempt fails and its repetition finds no token, the deletion counts as
// successful: the first attempt has most likely done it. A token that deletes itself cannot be checked
// like that: if the first answer is lost, the repetition fails with [ErrUnauthorized].
func (c *Client) DeleteToken(ctx context.Context, id string) error {
	const name = "delete token"
	account, token, err := c.tokenPath(id)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, err = c.do(ctx, operation{
		name:       name,
		repeatable: true,
		removes:    true,
		request: func() (*http.Request, error) {
			return clientapi.NewDeleteTokenRequest(c.server, account, token)
		},
	})
	return err
}

// tokenPath checks both ids of a token's path. An id that went in unchecked could name another path.
func (c *Client) tokenPath(id string) (uuid.UUID, uuid.UUID, error) {
	account, err := parseID("account ID", c.account)
	if err != nil {
		return uuid.Nil, uuid.Nil, err
	}
	token, err := parseID("id", id)
	if err != nil {
		return uuid.Nil, uuid.Nil, err
	}
	return account, token, nil
}

// checkText refuses what JSON cannot carry: the encoder would replace it and say nothing.
func checkText(name string, permissions []Permission) error {
	const reason = "not valid UTF-8"
	if !utf8.ValidString(name) {
		return &ArgumentError{Argument: "Name", Reason: reason}
	}
	for _, p := range permissions {
		if !utf8.ValidString(string(p)) {
			return &ArgumentError{Argument: "Permissions", Reason: reason}
		}
	}
	return nil
}

// token runs an operation that answers with a token.
func (c *Client) token(ctx context.Context, op operation) (*Token, error) {
	body, err := c.do(ctx, op)
	if err != nil {
		return nil, err
	}
	t, err := decodeToken(body)
	if err != nil {
		return nil, fmt.Errorf("%s: the server reports success, but its answer is not a token: %w", op.name, err)
	}
	return t, nil
}

// decodeToken keeps the body out of its errors: there is a secret in it.
func decodeToken(body []byte) (*Token, error) {
	var wire clientapi.Token
	if err := json.Unmarshal(body, &wire); err != nil {
		return nil, err
	}
	if wire.ID == uuid.Nil || wire.Token == "" {
		return nil, errors.New("id or token is missing")
	}
	return &Token{
		ID: wire.ID.String(), Name: wire.Name, Permissions: ownPermissions(wire.Permissions), Secret: NewSecret(wire.Token),
	}, nil
}
