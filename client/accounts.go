package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/gen/clientapi"
)

// Account is a project, as the Compatibility API shows it.
type Account struct {
	// ID is the Project ID (a UUID), which the Compatibility API calls sid.
	ID   string `json:"id"`
	Name string `json:"name"`
	// OwnerID is the parent of a subproject, and the account itself at the top.
	OwnerID    string    `json:"owner_id"`
	Subproject bool      `json:"subproject"`
	Status     string    `json:"status"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
	// SigningKey is there once, when a subproject was created.
	SigningKey Secret `json:"signing_key,omitzero"`
}

// CreateAccountParams describes a new subproject.
type CreateAccountParams struct {
	// Name is what people call it: 1 to 250 characters, not only white space.
	Name string
	// IdempotencyKey is as in [CreateTokenParams].
	IdempotencyKey string
}

// CreateAccount creates a subproject of the authenticated project. The Compatibility API documents it as "Create a
// subproject"; the answer has the signing key once.
//
// Without an idempotency key the request is sent once and never repeated. Errors: [ErrUnauthorized],
// [ErrInvalid] when the name is not acceptable, [ErrBadRequest] when the project is a subproject itself,
// [*ArgumentError].
func (c *Client) CreateAccount(ctx context.Context, params CreateAccountParams) (*Account, error) {
	const name = "create account"
	err := checkKey(params.IdempotencyKey)
	if err == nil {
		err = checkText(params.Name, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c.oneAccount(ctx, operation{
		name:       name,
		repeatable: params.IdempotencyKey != "",
		request: func() (*http.Request, error) {
			headers := &clientapi.CreateSubprojectsParams{IdempotencyKey: optional(params.IdempotencyKey)}
			return clientapi.NewCreateSubprojectsRequestWithFormdataBody(c.server, headers, clientapi.AccountRequest{FriendlyName: params.Name})
		},
	})
}

// GetAccount returns the account that the client acts on.
//
// Errors: [ErrUnauthorized], [ErrNotFound] when the account is not the project's, [*ArgumentError].
func (c *Client) GetAccount(ctx context.Context) (*Account, error) {
	const name = "get account"
	id, err := parseID("account ID", c.account)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c.oneAccount(ctx, operation{
		name:       name,
		repeatable: true,
		request:    func() (*http.Request, error) { return clientapi.NewGetAccountRequest(c.server, id) },
	})
}

// RenameAccount renames the account that the client acts on.
//
// Errors: [ErrUnauthorized], [ErrNotFound] when the account is not the project's, [ErrInvalid] when the name is
// not acceptable, [*ArgumentError].
func (c *Client) RenameAccount(ctx context.Context, newName string) (*Account, error) {
	const name = "rename account"
	id, err := parseID("account ID", c.account)
	if err == nil {
		err = checkText(newName, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c.oneAccount(ctx, operation{
		name:       name,
		repeatable: true, // the same name twice is the same name
		request: func() (*http.Request, error) {
			return clientapi.NewUpdateAccountRequestWithFormdataBody(c.server, id, clientapi.AccountRequest{FriendlyName: newName})
		},
	})
}

// ListAccountsParams selects accounts. Its zero value selects all of them.
type ListAccountsParams struct {
	// Name, if not empty, selects the accounts with exactly this name.
	Name string
	// PageSize is how many accounts one request fetches: 1 to 1000, by default 50.
	PageSize int
}

// ListAccounts iterates over the authenticated project and its subprojects. It fetches a page when the loop gets
// there, and stops after the first error.
//
// Errors: [ErrUnauthorized], [ErrBadRequest] when a parameter is out of bounds, [*ArgumentError].
func (c *Client) ListAccounts(ctx context.Context, params ListAccountsParams) iter.Seq2[*Account, error] {
	first := func() (*http.Request, error) {
		size, err := pageSize(params.PageSize)
		if err != nil {
			return nil, err
		}
		return clientapi.NewListAccountsRequest(c.server, &clientapi.ListAccountsParams{FriendlyName: optional(params.Name), PageSize: size})
	}
	return pages(ctx, c, "list accounts", first, func(page clientapi.AccountPage) ([]*Account, string) {
		accounts := make([]*Account, len(page.Accounts))
		for i, wire := range page.Accounts {
			accounts[i] = ownAccount(wire)
		}
		return accounts, orZero(page.NextPageURI)
	})
}

// oneAccount runs an operation that answers with one account.
func (c *Client) oneAccount(ctx context.Context, op operation) (*Account, error) {
	body, err := c.do(ctx, op)
	if err != nil {
		return nil, err
	}
	var wire clientapi.Account
	if err := json.Unmarshal(body, &wire); err != nil || wire.Sid == uuid.Nil {
		return nil, fmt.Errorf("%s: %w", op.name, errNoSuccess(err))
	}
	return ownAccount(wire), nil
}

// ownAccount reads the dates as RFC 2822 writes them; one that cannot be read is the zero time.
func ownAccount(wire clientapi.Account) *Account {
	created, _ := time.Parse(time.RFC1123Z, wire.DateCreated)
	updated, _ := time.Parse(time.RFC1123Z, wire.DateUpdated)
	account := &Account{
		ID: wire.Sid.String(), Name: wire.FriendlyName, OwnerID: wire.OwnerAccountSid.String(), Subproject: wire.Subproject,
		Status: string(wire.Status), CreatedAt: created.UTC(), UpdatedAt: updated.UTC(),
	}
	if key := orZero(wire.SigningKey); key != "" {
		account.SigningKey = NewSecret(key)
	}
	return account
}
