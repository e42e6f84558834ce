package guard

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/tokenwire/tokenwire/client"
)

// Guard asks a tokenwire server about credentials, and remembers the good ones for a moment. Make it with [New]. It is safe for
// concurrent use.
type Guard struct {
	client   *client.Client
	public   string
	lifetime time.Duration
	timeout  time.Duration
	believed *lru.Cache[key, answer]
	asking   singleflight.Group
	now      func() time.Time

	authorization bool
}

// key is the hash of a credential. The credential itself is not kept.
type key [sha256.Size]byte

// answer is a good credential, and when it was asked about.
type answer struct {
	who   Identity
	asked time.Time
}

// Identity is who has sent a request.
type Identity struct {
	ProjectID, TokenID string
	// Permissions is what the token may do, in alphabetical order.
	Permissions []client.Permission
}

// New returns a guard that asks the server with this base URL, such as http://127.0.0.1:8080. It sends nothing yet.
func New(baseURL string, options ...Option) (*Guard, error) {
	cfg := &config{lifetime: defaultLifetime, size: defaultSize, timeout: defaultTimeout}
	for _, option := range options {
		if err := option(cfg); err != nil {
			return nil, fmt.Errorf("guard: %w", err)
		}
	}
	// Who asks is another caller each time. This one is nobody, and never asks.
	all := append([]client.Option{client.WithBaseURL(baseURL), client.WithRetries(0)}, cfg.client...)
	c, err := client.New(uuid.Nil.String(), "nobody", all...)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	believed, err := lru.New[key, answer](cfg.size)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return &Guard{
		client: c, public: cmp.Or(cfg.public, c.BaseURL()), lifetime: cfg.lifetime, timeout: cfg.timeout, believed: believed,
		authorization: cfg.authorization, now: time.Now,
	}, nil
}

// Require returns a middleware that lets a request through when its token holds one of these permissions; without any, when its
// credential is good. The handler gets the request without the credential, unless [WithAuthorization] says otherwise, and without
// any X-Tokenwire-… header.
func (g *Guard) Require(anyOf ...client.Permission) func(http.Handler) http.Handler {
	anyOf = slices.Clone(anyOf)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who, err := g.identify(r)
			if err == nil {
				err = permit(who, anyOf)
			}
			if err != nil {
				g.refuse(w, err)
				return
			}
			next.ServeHTTP(w, g.pass(r, who))
		})
	}
}

// permit refuses who holds none of the permissions.
func permit(who Identity, anyOf []client.Permission) error {
	if len(anyOf) == 0 || slices.ContainsFunc(anyOf, func(p client.Permission) bool { return slices.Contains(who.Permissions, p) }) {
		return nil
	}
	message := fmt.Sprintf("This API token lacks the permission %q", anyOf[0])
	if len(anyOf) > 1 {
		names := make([]string, len(anyOf))
		for i, p := range anyOf {
			names[i] = string(p)
		}
		message = "This API token has none of these permissions, of which one is needed: " + strings.Join(names, ", ")
	}
	return &client.Error{Status: http.StatusForbidden, Message: message}
}

// identify returns whose the credential of a request is: known already, from memory or by asking.
func (g *Guard) identify(r *http.Request) (Identity, error) {
	if who, ok := g.known(r); ok {
		return who, nil
	}
	project, token, ok := r.BasicAuth()
	if !ok || len(r.Header.Values("Authorization")) != 1 {
		return Identity{}, errNoCredential
	}
	if g.lifetime == 0 {
		got, err := g.ask(r.Context(), project, token)
		return got.who, err
	}
	k := key(sha256.Sum256([]byte(r.Header.Get("Authorization"))))
	arrived := g.now()
	if got, ok := g.believed.Get(k); ok && arrived.Sub(got.asked) < g.lifetime {
		return got.who, nil
	}
	for {
		got, err := g.askOnce(r.Context(), k, project, token)
		// Who has come in late, while an old question was still open, must not be told what was true before the lifetime.
		if err != nil || arrived.Sub(got.asked) < g.lifetime {
			return got.who, err
		}
	}
}

// askOnce asks, or waits for the answer that somebody else is waiting for already.
func (g *Guard) askOnce(ctx context.Context, k key, project, token string) (answer, error) {
	asked := g.asking.DoChan(string(k[:]), func() (any, error) {
		got, err := g.ask(context.WithoutCancel(ctx), project, token) // others wait for it too
		if err == nil {
			g.believed.Add(k, got)
		}
		return got, err
	})
	select {
	case <-ctx.Done():
		return answer{}, ctx.Err()
	case result := <-asked:
		got, _ := result.Val.(answer)
		return got, result.Err
	}
}

func (g *Guard) ask(ctx context.Context, project, token string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	caller, err := g.client.ForCredential(project, token)
	if err != nil {
		return answer{}, errNoCredential // it cannot be one
	}
	asked := g.now()
	v, err := caller.VerifyToken(ctx, client.VerifyTokenParams{})
	if err != nil {
		return answer{}, err
	}
	return answer{Identity{v.ProjectID, v.TokenID, v.Permissions}, asked}, nil
}

// errNoCredential is what tokenwire says of any bad credential.
var errNoCredential = &client.Error{
	Status:  http.StatusUnauthorized,
	Message: "Authentication failed. Use the Project ID as user name and an API token of that project as password",
}

// statusOf returns the status for a request that is not let through. Whatever is not clear is the fault of nobody who calls.
func statusOf(err error) (int, *client.Error) {
	said, ok := errors.AsType[*client.Error](err)
	if !ok {
		return http.StatusServiceUnavailable, &client.Error{}
	}
	switch said.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return said.Status, said
	}
	return http.StatusServiceUnavailable, said
}

// seconds returns a time to wait as Retry-After has it.
func seconds(d time.Duration) int { return cmp.Or(int(d.Round(time.Second)/time.Second), 1) }
