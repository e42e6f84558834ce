package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
	"github.com/tokenwire/tokenwire/server/servertest"
)

// real returns a client of a real server.
func real(t *testing.T) (*client.Client, *servertest.Server) {
	t.Helper()
	s := servertest.New(t, nil)
	c, err := client.New(s.ProjectID, s.Token, client.WithBaseURL(s.URL))
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func TestTokenLife(t *testing.T) {
	t.Parallel()
	c, s := real(t)
	ctx := t.Context()
	expiry := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	created, err := c.CreateToken(ctx, client.CreateTokenParams{Name: "T", Permissions: []client.Permission{"fax"}, ExpiresAt: expiry})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.GetToken(ctx, created.ID)
	if err != nil || !got.ExpiresAt.Equal(expiry) || got.ProjectID != s.ProjectID || !strings.HasSuffix(created.Secret.Reveal(), got.SecretLastFour) || !got.LastUsedAt.IsZero() {
		t.Errorf("GetToken: %+v, %v", got, err)
	}
	if _, err := c.UpdateToken(ctx, created.ID, client.UpdateTokenParams{Name: new("U")}); err != nil {
		t.Fatal(err)
	}
	if got, err = c.GetToken(ctx, created.ID); err != nil || got.Name != "U" || !got.ExpiresAt.Equal(expiry) {
		t.Errorf("after a rename: %+v, %v", got, err)
	}
	if _, err := c.UpdateToken(ctx, created.ID, client.UpdateTokenParams{Expiry: client.NeverExpire()}); err != nil {
		t.Fatal(err)
	}
	if got, err = c.GetToken(ctx, created.ID); err != nil || !got.ExpiresAt.IsZero() {
		t.Errorf("after the expiry was removed: %+v, %v", got, err)
	}
	if _, err := c.UpdateToken(ctx, created.ID, client.UpdateTokenParams{Expiry: client.ExpireAt(time.Unix(0, 0))}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("an expiry in the past: %v", err)
	}
	rotated, err := c.RotateToken(ctx, created.ID, client.RotateTokenParams{Grace: time.Minute})
	if err != nil || rotated.ID != created.ID || rotated.Secret.Equal(created.Secret) {
		t.Errorf("RotateToken: %v, %v", rotated, err)
	}
	if _, err := c.GetToken(ctx, subproject); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a token that does not exist: %v", err)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	c, s := real(t)
	ctx := t.Context()
	for i := range 5 {
		account, err := c.CreateAccount(ctx, client.CreateAccountParams{Name: fmt.Sprintf("Account %d", i)})
		if err != nil || account.OwnerID != s.ProjectID || !account.Subproject || account.SigningKey.IsZero() || account.CreatedAt.IsZero() {
			t.Fatalf("CreateAccount: %+v, %v", account, err)
		}
		if _, err := c.ForAccount(account.ID).CreateToken(ctx, client.CreateTokenParams{Name: account.Name, Permissions: []client.Permission{"chat"}}); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for account, err := range c.ListAccounts(ctx, client.ListAccountsParams{PageSize: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, account.Name)
	}
	if got := strings.Join(names, ","); got != "Default,Account 0,Account 1,Account 2,Account 3,Account 4" {
		t.Errorf("the accounts are %s", got)
	}
	tokens := 0
	for token, err := range c.ListTokens(ctx, client.ListTokensParams{PageSize: 2, Permission: "chat", NamePrefix: "Account", Expired: new(false)}) {
		if err != nil || !strings.HasPrefix(token.Name, "Account") {
			t.Fatalf("token %+v: %v", token, err)
		}
		if tokens++; tokens == 3 {
			break // a loop may end early
		}
	}
	events := 0
	for event, err := range c.ListAuditEvents(ctx, client.ListAuditEventsParams{PageSize: 3, Action: "token.created", From: time.Unix(0, 0)}) {
		if err != nil || event.Action != "token.created" || event.TokenID == "" {
			t.Fatalf("event %+v: %v", event, err)
		}
		events++
	}
	if tokens != 3 || events != 6 {
		t.Errorf("%d tokens and %d events, want 3 and 6", tokens, events)
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	c, s := real(t)
	ctx := t.Context()
	renamed, err := c.RenameAccount(ctx, "Renamed & more")
	if err != nil || renamed.Name != "Renamed & more" || renamed.ID != s.ProjectID || renamed.Subproject {
		t.Errorf("RenameAccount: %+v, %v", renamed, err)
	}
	got, err := c.GetAccount(ctx)
	if err != nil || got.Name != "Renamed & more" || got.Status != "active" || !got.SigningKey.IsZero() {
		t.Errorf("GetAccount: %+v, %v", got, err)
	}
	if _, err := c.RenameAccount(ctx, " "); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a blank name: %v", err)
	}
	if _, err := c.ForAccount(subproject).GetAccount(ctx); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("an account that does not exist: %v", err)
	}
	child, err := c.CreateAccount(ctx, client.CreateAccountParams{Name: "Child"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := c.CreateToken(ctx, client.CreateTokenParams{Name: "T", Permissions: []client.Permission{"management"}, SubprojectID: child.ID})
	if err != nil {
		t.Fatal(err)
	}
	below, err := client.New(child.ID, token.Secret.Reveal(), client.WithBaseURL(s.URL))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := below.CreateAccount(ctx, client.CreateAccountParams{Name: "Grandchild"}); !errors.Is(err, client.ErrBadRequest) {
		t.Errorf("a subproject of a subproject: %v", err)
	}
}

// TestIdempotentCreation: with a key a creation is repeated, and the server carries it out once.
func TestIdempotentCreation(t *testing.T) {
	t.Parallel()
	f := serve(t, answer(http.StatusServiceUnavailable, ""), answer(http.StatusOK, tokenBody))
	_, err := f.client(t).CreateToken(t.Context(), client.CreateTokenParams{Name: "N", Permissions: []client.Permission{"fax"}, IdempotencyKey: "key"})
	if err != nil || len(f.requests) != 2 {
		t.Fatalf("%d requests, %v", len(f.requests), err)
	}
	for _, request := range f.requests {
		if request.header.Get("Idempotency-Key") != "key" {
			t.Errorf("the key is %q", request.header.Get("Idempotency-Key"))
		}
	}
	if _, err := f.client(t).CreateToken(t.Context(), client.CreateTokenParams{Name: "N", IdempotencyKey: "with space"}); err == nil {
		t.Error("a key that no header can carry was accepted")
	}
}

// TestRotationIsRepeatedWithOneKey: a lost answer must not cost a secret.
func TestRotationIsRepeatedWithOneKey(t *testing.T) {
	t.Parallel()
	f := serve(t, answer(http.StatusBadGateway, ""), answer(http.StatusOK, tokenBody))
	if _, err := f.client(t).RotateToken(t.Context(), tokenID, client.RotateTokenParams{}); err != nil {
		t.Fatal(err)
	}
	first, second := f.requests[0].header.Get("Idempotency-Key"), f.requests[1].header.Get("Idempotency-Key")
	if first == "" || first != second {
		t.Errorf("the keys are %q and %q", first, second)
	}
}

// TestListsStayOnTheServer: a link to another host would show the credential to it.
func TestListsStayOnTheServer(t *testing.T) {
	t.Parallel()
	for _, link := range []string{"https://example.com/x", "//example.com/x", `/\\example.com`, "x"} {
		f := serve(t, answer(http.StatusOK, fmt.Sprintf(`{"tokens":[],"next_page_uri":%q}`, link)))
		var last error
		for _, err := range f.client(t).ListTokens(t.Context(), client.ListTokensParams{}) {
			last = err
		}
		if last == nil || len(f.requests) != 1 {
			t.Errorf("%s: error %v after %d requests", link, last, len(f.requests))
		}
	}
}

// TestListsEndWithTheFirstError: and below a base path the links are followed there.
func TestListsEndWithTheFirstError(t *testing.T) {
	t.Parallel()
	f := serve(t, answer(http.StatusOK, `{"tokens":[],"next_page_uri":"/api/next?PageToken=x"}`), answer(http.StatusNotFound, ""))
	errs := 0
	for _, err := range f.client(t).ListTokens(t.Context(), client.ListTokensParams{}) {
		if !errors.Is(err, client.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		errs++
	}
	if errs != 1 || f.requests[1].path != basePath+"/api/next" {
		t.Errorf("%d errors; the second request went to %s", errs, f.requests[1].path)
	}
	for _, err := range f.client(t).ListTokens(t.Context(), client.ListTokensParams{PageSize: 1001}) {
		if _, ok := errors.AsType[*client.ArgumentError](err); !ok {
			t.Errorf("a page size out of bounds: %v", err)
		}
	}
}
