package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/tokenwire/tokenwire/gen/clientapi"
)

// ExpiryChange says what an update does to the expiry of a token. The zero value keeps it; the others come
// from [ExpireAt] and [NeverExpire].
type ExpiryChange struct{ at nullable.Nullable[time.Time] }

// ExpireAt lets a token expire at this time, which must be in the future.
func ExpireAt(t time.Time) ExpiryChange {
	return ExpiryChange{nullable.NewNullableWithValue(t)}
}

// NeverExpire removes the expiry of a token.
func NeverExpire() ExpiryChange { return ExpiryChange{nullable.NewNullNullable[time.Time]()} }

// TokenSummary is an API token without its secret. An extension of tokenwire.
type TokenSummary struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Permissions []Permission `json:"permissions"`
	// ProjectID is the project that the token authenticates for.
	ProjectID string `json:"project_id"`
	// SecretLastFour are the last four digits of the secret, to recognize it by.
	SecretLastFour string    `json:"secret_last_four"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
	// LastUsedAt is when the token authenticated last, exact to a minute, and zero if it never did.
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
	// ExpiresAt is when the token stops to authenticate, and zero if it never does.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// GetToken returns the token with the given id (a UUID), without its secret; [Client.UpdateToken] without
// any change returns it with the secret. An extension of tokenwire.
//
// Errors: [ErrUnauthorized], [ErrNotFound] when there is no such token or it is not the account's,
// [*ArgumentError].
func (c *Client) GetToken(ctx context.Context, id string) (*TokenSummary, error) {
	const name = "get token"
	account, token, err := c.tokenPath(id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	body, err := c.do(ctx, operation{
		name:       name,
		repeatable: true,
		request: func() (*http.Request, error) {
			return clientapi.NewGetTokenRequest(c.server, account, token)
		},
	})
	if err != nil {
		return nil, err
	}
	var wire clientapi.TokenSummary
	if err := json.Unmarshal(body, &wire); err != nil || wire.ID == uuid.Nil {
		return nil, fmt.Errorf("%s: %w", name, errNoSuccess(err))
	}
	return summary(wire), nil
}

// errNoSuccess is for an answer that has the status of a success and not its body.
func errNoSuccess(err error) error {
	return errors.Join(errors.New("the server reports success, but its answer is not what was asked for"), err)
}

func summary(wire clientapi.TokenSummary) *TokenSummary {
	return &TokenSummary{
		ID: wire.ID.String(), Name: wire.Name, Permissions: ownPermissions(wire.Permissions), ProjectID: wire.ProjectID.String(),
		SecretLastFour: wire.SecretLastFour, CreatedAt: wire.CreatedAt, UpdatedAt: wire.UpdatedAt,
		LastUsedAt: orZero(wire.LastUsedAt), ExpiresAt: orZero(wire.ExpiresAt),
	}
}

func ownPermissions(wire []clientapi.Permission) []Permission {
	permissions := make([]Permission, len(wire))
	for i, p := range wire {
		permissions[i] = Permission(p)
	}
	return permissions
}

// orZero returns the zero value for null.
func orZero[T any](value nullable.Nullable[T]) T {
	got, err := value.Get()
	if err != nil {
		var zero T
		return zero
	}
	return got
}

// ListTokensParams selects tokens. Its zero value selects all of them.
type ListTokensParams struct {
	// NamePrefix, if not empty, selects tokens whose name begins like this.
	NamePrefix string
	// Permission, if not empty, selects tokens that hold it.
	Permission Permission
	// Expired, if not nil, selects tokens that have expired, or those that have not.
	Expired *bool
	// PageSize is how many tokens one request fetches: 1 to 1000, by default 50.
	PageSize int
}

// ListTokens iterates over the tokens of the account and of its subprojects, in the order of their ids. It
// fetches a page when the loop gets there, and stops after the first error. An extension of tokenwire.
//
//	for token, err := range c.ListTokens(ctx, client.ListTokensParams{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(token.ID, token.Name)
//	}
//
// Errors: [ErrUnauthorized], [ErrNotFound] when the account is not the project's, [ErrBadRequest] when a
// parameter is out of bounds, [*ArgumentError].
func (c *Client) ListTokens(ctx context.Context, params ListTokensParams) iter.Seq2[*TokenSummary, error] {
	first := func() (*http.Request, error) {
		account, err := parseID("account ID", c.account)
		if err != nil {
			return nil, err
		}
		size, err := pageSize(params.PageSize)
		if err != nil {
			return nil, err
		}
		return clientapi.NewListTokensRequest(c.server, account, &clientapi.ListTokensParams{
			NamePrefix: optional(params.NamePrefix), Permission: optional(clientapi.Permission(params.Permission)),
			Expired: params.Expired, PageSize: size,
		})
	}
	return pages(ctx, c, "list tokens", first, func(page clientapi.TokenPage) ([]*TokenSummary, string) {
		tokens := make([]*TokenSummary, len(page.Tokens))
		for i, token := range page.Tokens {
			tokens[i] = summary(token)
		}
		return tokens, orZero(page.NextPageURI)
	})
}

// maxGrace is the server's bound on the grace of a rotation.
const maxGrace = 7 * 24 * time.Hour

// RotateTokenParams describes how to replace the secret of a token.
type RotateTokenParams struct {
	// Grace is how long the earlier secrets work still: whole seconds, at most 7 days. By default they end at once.
	Grace time.Duration
	// IdempotencyKey names this rotation, so that it can be repeated after the program has ended. By default a random one is
	// used for the repetitions of this call.
	IdempotencyKey string
}

// RotateToken gives the token with the given id (a UUID) a new secret and returns it. The request has an
// idempotency key and is repeated like an update: when an answer is lost, the repetition brings the same
// secret. An extension of tokenwire.
//
// Errors: [ErrUnauthorized], [ErrNotFound] when there is no such token or it is not the account's,
// [ErrInvalid] when the grace is out of bounds or the key was used for another request, [*ArgumentError].
func (c *Client) RotateToken(ctx context.Context, id string, params RotateTokenParams) (*Token, error) {
	const name = "rotate token"
	account, token, err := c.tokenPath(id)
	if err == nil {
		err = checkKey(params.IdempotencyKey)
	}
	if err == nil && (params.Grace < 0 || params.Grace%time.Second != 0 || params.Grace > maxGrace) {
		err = &ArgumentError{Argument: "Grace", Reason: "not a whole number of seconds from 0 to 7 days"}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	key := params.IdempotencyKey
	if key == "" {
		key = uuid.NewString()
	}
	return c.token(ctx, operation{
		name:       name,
		repeatable: true,
		request: func() (*http.Request, error) {
			return clientapi.NewRotateTokenRequest(c.server, account, token, &clientapi.RotateTokenParams{IdempotencyKey: &key},
				clientapi.RotateTokenRequest{GracePeriodSeconds: new(int32(params.Grace / time.Second))}) //nolint:gosec // it is at most maxGrace
		},
	})
}
