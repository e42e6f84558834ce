package client

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/tokenwire/tokenwire/gen/clientapi"
)

// Verification is who a credential belongs to, and what it may do. An extension of tokenwire.
type Verification struct {
	ProjectID   string       `json:"project_id"`
	TokenID     string       `json:"token_id"`
	Permissions []Permission `json:"permissions"`
}

// VerifyTokenParams says what is asked about a credential. Its zero value asks whether it is good at all.
type VerifyTokenParams struct {
	// Permission, if not empty, is what the token must hold.
	Permission Permission
}

// VerifyToken asks about the client's own credential. Any good one may, whatever its permissions. An extension of tokenwire.
//
// Errors: [ErrUnauthorized] when the credential is not good, [ErrForbidden] when the token lacks the
// permission, [ErrBadRequest] when there is no such permission.
func (c *Client) VerifyToken(ctx context.Context, params VerifyTokenParams) (*Verification, error) {
	const name = "verify token"
	var header http.Header
	_, err := c.do(ctx, operation{
		name:       name,
		repeatable: true,
		request: func() (*http.Request, error) {
			return clientapi.NewVerifyTokenRequest(c.server, &clientapi.VerifyTokenParams{Permission: optional(clientapi.Permission(params.Permission))})
		},
		succeeded: func(h http.Header) { header = h },
	})
	if err != nil {
		return nil, err
	}
	v := &Verification{ProjectID: header.Get("X-Tokenwire-Project"), TokenID: header.Get("X-Tokenwire-Token-Id"), Permissions: []Permission{}}
	if v.ProjectID != c.projectID || v.TokenID == "" {
		return nil, fmt.Errorf("%s: %w", name, errNoSuccess(nil))
	}
	for permission := range strings.SplitSeq(header.Get("X-Tokenwire-Permissions"), ",") {
		if permission != "" {
			v.Permissions = append(v.Permissions, Permission(permission))
		}
	}
	return v, nil
}

// ForCredential returns a client that authenticates as another project, by an API token of it, and acts on its account: such as
// the one that a service was called with. The receiver stays as it is. An error is an [*ArgumentError].
func (c *Client) ForCredential(projectID, apiToken string) (*Client, error) {
	project, err := parseID("projectID", projectID)
	if err == nil {
		err = checkAPIToken("apiToken", apiToken)
	}
	if err != nil {
		return nil, configError(err)
	}
	other := *c
	other.projectID, other.account, other.apiToken = project.String(), project.String(), NewSecret(apiToken)
	return &other, nil
}
