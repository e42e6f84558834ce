package client_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/tokenwire/tokenwire/client"
)

func TestVerifyToken(t *testing.T) {
	t.Parallel()
	c, s := real(t)
	ctx := t.Context()
	created, err := c.CreateToken(ctx, client.CreateTokenParams{Name: "T", Permissions: []client.Permission{"fax", "chat"}})
	if err != nil {
		t.Fatal(err)
	}
	other, err := c.ForCredential(s.ProjectID, created.Secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for _, permission := range []client.Permission{"", "fax"} {
		got, err := other.VerifyToken(ctx, client.VerifyTokenParams{Permission: permission})
		if err != nil || got.ProjectID != s.ProjectID || got.TokenID != created.ID || !slices.Equal(got.Permissions, []client.Permission{"chat", "fax"}) {
			t.Errorf("%q: %+v, %v", permission, got, err)
		}
	}
	if _, err := other.VerifyToken(ctx, client.VerifyTokenParams{Permission: "video"}); !errors.Is(err, client.ErrForbidden) {
		t.Errorf("a permission that it lacks: %v", err)
	}
	if _, err := other.VerifyToken(ctx, client.VerifyTokenParams{Permission: "x"}); !errors.Is(err, client.ErrBadRequest) {
		t.Errorf("no permission: %v", err)
	}
	if _, err := c.UpdateToken(ctx, created.ID, client.UpdateTokenParams{Permissions: client.NoPermissions()}); err != nil {
		t.Fatal(err)
	}
	if got, err := other.VerifyToken(ctx, client.VerifyTokenParams{}); err != nil || got.Permissions == nil || len(got.Permissions) > 0 {
		t.Errorf("a token that may do nothing: %+v, %v", got, err)
	}
	if err := c.DeleteToken(ctx, created.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := other.VerifyToken(ctx, client.VerifyTokenParams{}); !errors.Is(err, client.ErrUnauthorized) {
		t.Errorf("a deleted token: %v", err)
	}
	if got, err := c.VerifyToken(ctx, client.VerifyTokenParams{}); err != nil || got.TokenID != s.TokenID {
		t.Errorf("the first client: %+v, %v", got, err)
	}
}

func TestForCredentialChecks(t *testing.T) {
	t.Parallel()
	c, s := real(t)
	for _, credential := range [][2]string{{"x", "PT"}, {"", "PT"}, {s.ProjectID, ""}, {s.ProjectID, "a\nb"}} {
		if _, err := c.ForCredential(credential[0], credential[1]); err == nil {
			t.Errorf("%q is taken", credential)
		} else if _, ok := errors.AsType[*client.ArgumentError](err); !ok {
			t.Errorf("%q: %v", credential, err)
		}
	}
}

// TestVerifyTokenBelievesNobodyElse: an answer that is a success and names another project, or nobody, is none.
func TestVerifyTokenBelievesNobodyElse(t *testing.T) {
	t.Parallel()
	for _, headers := range [][]string{
		nil, {"X-Tokenwire-Project", projectID}, {"X-Tokenwire-Project", subproject, "X-Tokenwire-Token-Id", tokenID},
	} {
		f := serve(t, answer(204, "", headers...))
		c, err := client.New(projectID, apiToken, client.WithBaseURL(f.URL+basePath))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.VerifyToken(t.Context(), client.VerifyTokenParams{}); err == nil {
			t.Errorf("%v: %+v", headers, got)
		}
	}
}
