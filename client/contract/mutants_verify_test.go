package contract_test

import (
	"maps"
	"net/http"
	"net/url"
	"path"
	"sync"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// verifyMutants answer gateways wrongly.
func verifyMutants() []mutant {
	verify := on("", `/verify$`)
	header := func(status int, change func(http.Header)) breaker {
		return answers(verify, func(_ *http.Request, a *recorded) {
			if a.status == status {
				change(a.header)
			}
		})
	}
	return []mutant{
		{name: "verify names another token", cases: []string{"ext.verify.identity"}, handler: header(204, func(h http.Header) {
			h.Set("X-Tokenwire-Token-Id", "7a1d5f0e-2c57-4f0e-8d0b-3a6f2f0c9b42")
		})},
		{name: "verify does not name the project", cases: []string{"ext.verify.identity"}, handler: header(204, func(h http.Header) { h.Del("X-Tokenwire-Project") })},
		{name: "verify names permissions with spaces between", cases: []string{"ext.verify.identity", "ext.verify.permission"}, handler: header(204, func(h http.Header) {
			h.Set("X-Tokenwire-Permissions", "calling fax")
		})},
		{name: "who is refused is identified", cases: []string{"ext.verify.permission"}, handler: header(403, func(h http.Header) { h.Set("X-Tokenwire-Token-Id", "x") })},
		{name: "a token that may do nothing may not verify", cases: []string{"ext.verify.nothing"}, handler: answers(verify, func(_ *http.Request, a *recorded) {
			if a.status == http.StatusNoContent && a.header.Get("X-Tokenwire-Permissions") == "" {
				*a = *refusal(http.StatusForbidden, 20003)
			}
		})},
		{name: "verify ignores the permission", cases: []string{"ext.verify.permission", "ext.verify.nothing", "ext.verify.changes"}, handler: ignore(verify, "permission")},
		{name: "verify does not name the permission", cases: []string{"ext.verify.permission"}, handler: set(verify, 403, "message", "Forbidden")},
		{name: "verify gives 401 for 403", cases: []string{"ext.verify.permission", "ext.verify.original", "ext.verify.tricks"}, handler: status(verify, 403, 401)},
		{name: "verify gives 403 for 400", cases: []string{"ext.verify.invalid"}, handler: status(verify, 400, 403)},
		{name: "verify has a 401 of its own", cases: []string{"ext.verify.credential"}, handler: set(verify, 401, "message", "No")},
		{name: "verify remembers", cases: []string{"ext.verify.changes"}, handler: remembering},
		{name: "verify does not look at the original request", cases: []string{"ext.verify.original", "ext.verify.tricks"}, handler: requests(verify, func(r *http.Request) {
			maps.DeleteFunc(r.Header, func(name string, _ []string) bool { return name[:3] == "X-O" || name[:3] == "X-F" })
		})},
		{name: "verify does not know every header about the original request", cases: []string{"ext.verify.original"}, handler: requests(verify, func(r *http.Request) {
			delete(r.Header, "X-Original-Url")
			delete(r.Header, "X-Rewrite-Url")
		})},
		{name: "of two headers the first counts", cases: []string{"ext.verify.original"}, handler: requests(verify, func(r *http.Request) {
			for name, values := range r.Header {
				r.Header[name] = values[:1]
			}
		})},
		{name: "original paths are tidied up", cases: []string{"ext.verify.tricks"}, handler: requests(verify, func(r *http.Request) {
			if plain, err := url.PathUnescape(r.Header.Get("X-Original-Uri")); err == nil && plain != "" {
				r.Header.Set("X-Original-Uri", path.Clean(plain))
			}
		})},
	}
}

// remembering believes a credential once and for all.
func remembering(next http.Handler, _ servertest.Project) http.Handler {
	var known sync.Map
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/tokens/verify" {
			next.ServeHTTP(w, r)
			return
		}
		key := r.Header.Get("Authorization") + r.URL.RawQuery
		if a, ok := known.Load(key); ok {
			a.(*recorded).send(w)
			return
		}
		a := record(next, r)
		if a.status == http.StatusNoContent {
			known.Store(key, a)
		}
		a.send(w)
	})
}
