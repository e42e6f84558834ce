package client

import (
	"context"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
)

// Names of the environment variables that [FromEnv] reads.
const (
	envProjectID = "SIGNALWIRE_PROJECT_ID"
	envAPIToken  = "SIGNALWIRE_API_TOKEN" //nolint:gosec // the name of a variable, not a credential
	envSpace     = "SIGNALWIRE_SPACE"
	envSpaceURL  = "SIGNALWIRE_SPACE_URL"
)

// Client calls the API for one project. Make it with [New] or [FromEnv]. It is safe for concurrent use.
type Client struct {
	http      *http.Client
	server    string // base URL, ends with a slash
	projectID string
	apiToken  Secret
	account   string // as the caller gave it; checked by each operation
	userAgent string
	retries   int
	wait      func(context.Context, time.Duration) error
}

// New returns a client for the project with the given Project ID (a UUID) that authenticates with one
// of the project's API tokens. The operations need a token with the management permission.
//
// Exactly one of [WithSpace] and [WithBaseURL] says where the API is. New sends nothing; a wrong
// credential shows at the first call, as [ErrUnauthorized]. Its own errors are of type [*ArgumentError].
func New(projectID, apiToken string, opts ...Option) (*Client, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, configError(err)
	}
	c, err := newClient(cfg, credential{
		projectID: projectID, projectIDName: "projectID",
		apiToken: apiToken, apiTokenName: "apiToken",
	})
	if err != nil {
		return nil, configError(err)
	}
	return c, nil
}

// FromEnv is [New] with values from the environment variables that SignalWire's SDKs read:
//
//   - SIGNALWIRE_PROJECT_ID: the Project ID
//   - SIGNALWIRE_API_TOKEN: the API token
//   - SIGNALWIRE_SPACE: the Space, as in [WithSpace]; if it is empty, SIGNALWIRE_SPACE_URL, the name that
//     older SDKs use
//
// A [WithSpace] or [WithBaseURL] among the options wins over the environment's Space. The error names
// every variable that is missing, or the one whose value is refused.
func FromEnv(opts ...Option) (*Client, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, configError(err)
	}
	cred := credential{
		projectID: os.Getenv(envProjectID), projectIDName: envProjectID,
		apiToken: os.Getenv(envAPIToken), apiTokenName: envAPIToken,
	}
	if err := cfg.spaceFromEnv(cred); err != nil {
		return nil, configError(err)
	}
	c, err := newClient(cfg, cred)
	if err != nil {
		return nil, configError(err)
	}
	return c, nil
}

// spaceFromEnv completes a configuration without a server, after it made sure that no variable is missing.
func (cfg *config) spaceFromEnv(cred credential) error {
	name, space := envSpace, os.Getenv(envSpace)
	if space == "" {
		if older := os.Getenv(envSpaceURL); older != "" {
			name, space = envSpaceURL, older
		}
	}
	var missing []string
	if cred.projectID == "" {
		missing = append(missing, envProjectID)
	}
	if cred.apiToken == "" {
		missing = append(missing, envAPIToken)
	}
	needsSpace := cfg.space == nil && cfg.baseURL == nil
	if needsSpace && space == "" {
		missing = append(missing, envSpace)
	}
	if len(missing) > 0 {
		reason := "not set in the environment"
		if needsSpace && space == "" {
			reason += "; name servers other than a Space with WithBaseURL"
		}
		return &ArgumentError{Argument: strings.Join(missing, ", "), Reason: reason}
	}
	if !needsSpace {
		return nil
	}
	u, err := parseSpace(name, space)
	cfg.space = u
	return err
}

// ForAccount returns a client that acts on another account: the project itself or, by its UUID, one of
// its subprojects. The Compatibility API calls that id AccountSid. The credential stays the same, and so
// does the receiver. An id that is no UUID is refused by the operations, with an [*ArgumentError].
func (c *Client) ForAccount(accountID string) *Client {
	other := *c
	other.account = accountID
	return &other
}

// BaseURL returns the server that the client calls, such as https://example.signalwire.com, without a slash at its end.
func (c *Client) BaseURL() string { return strings.TrimSuffix(c.server, "/") }

// credential is what a client authenticates with, and how to call its halves in an error.
type credential struct {
	projectID, projectIDName string
	apiToken, apiTokenName   string
}

func newClient(cfg *config, cred credential) (*Client, error) {
	project, err := parseID(cred.projectIDName, cred.projectID)
	if err != nil {
		return nil, err
	}
	if err := checkAPIToken(cred.apiTokenName, cred.apiToken); err != nil {
		return nil, err
	}
	server, err := cfg.server()
	if err != nil {
		return nil, err
	}
	return &Client{
		http:      cfg.client(),
		server:    server,
		projectID: project.String(),
		apiToken:  NewSecret(cred.apiToken),
		account:   project.String(),
		userAgent: strings.TrimSpace(cfg.userAgent + " " + ownUserAgent()),
		retries:   cfg.retries,
		wait:      cfg.wait,
	}, nil
}

func checkAPIToken(name, token string) error {
	switch {
	case token == "":
		return &ArgumentError{Argument: name, Reason: "empty"}
	case strings.ContainsFunc(token, unicode.IsControl):
		return &ArgumentError{Argument: name, Reason: "contains a control character, such as a line break"}
	}
	return nil
}

// parseID accepts the 36-character form only: [uuid.Parse] alone would let braces and URNs pass. The
// value is not repeated in the error, for it may be a secret in the wrong place.
func parseID(argument, value string) (uuid.UUID, error) {
	const textLength = 36
	if value == "" {
		return uuid.Nil, &ArgumentError{Argument: argument, Reason: "empty, where a UUID is expected"}
	}
	id, err := uuid.Parse(value)
	if err != nil || len(value) != textLength {
		return uuid.Nil, &ArgumentError{
			Argument: argument, Reason: "not a UUID like 1bd1a9c7-5b1f-4b0e-9d57-0d2b1a5e3c11",
		}
	}
	return id, nil
}

// ownUserAgent names this package, with the version of the module that the program was built with.
func ownUserAgent() string {
	const module = "github.com/tokenwire/tokenwire"
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == module && m.Version != "" && m.Version != "(devel)" {
				version = m.Version
			}
		}
	}
	return "tokenwire-client/" + version + " (" + runtime.Version() + ")"
}
