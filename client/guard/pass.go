package guard

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// passed is who a guard has let through.
type passed struct {
	who Identity
	by  *Guard
}

type passedKey struct{}

// FromContext returns who has sent a request, from its context. It reports false for one that no guard has let through.
func FromContext(ctx context.Context) (Identity, bool) {
	p, ok := ctx.Value(passedKey{}).(passed)
	return p.who, ok
}

// known returns whom this guard has let through already: a handler within another has no credential to show any more.
func (g *Guard) known(r *http.Request) (Identity, bool) {
	p, ok := r.Context().Value(passedKey{}).(passed)
	return p.who, ok && p.by == g && len(r.Header.Values("Authorization")) == 0
}

// pass returns the request as the handler gets it: without the secret, and with nothing that looks as if tokenwire or a gateway had
// said who has called. The request itself is not changed, for those who have it too.
func (g *Guard) pass(r *http.Request, who Identity) *http.Request {
	r = r.WithContext(context.WithValue(r.Context(), passedKey{}, passed{who, g}))
	r.Header = r.Header.Clone()
	maps.DeleteFunc(r.Header, func(name string, _ []string) bool { return isIdentity(name) })
	if !g.authorization {
		r.Header.Del("Authorization")
	}
	// A proxy behind would take away what it has put in itself, if it is named here.
	for i, options := range r.Header["Connection"] {
		kept := slices.DeleteFunc(strings.Split(options, ","), func(option string) bool { return isIdentity(strings.TrimSpace(option)) })
		r.Header["Connection"][i] = strings.Join(kept, ",")
	}
	return r
}

// isIdentity reports whether a header is one of X-Tokenwire-…, or is taken for one by a service that gets headers as variables: in them
// every sign looks alike.
func isIdentity(name string) bool {
	const start = "x-tokenwire-"
	return len(name) >= len(start) && strings.EqualFold(name[:1], "x") && isSign(name[1]) &&
		strings.EqualFold(name[2:len(start)-1], "tokenwire") && isSign(name[len(start)-1])
}

// isSign reports whether a character is no letter and no digit.
func isSign(c byte) bool {
	letter := c | 0x20
	return (letter < 'a' || letter > 'z') && (c < '0' || c > '9')
}
