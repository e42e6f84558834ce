package contract_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// staleAnswer answers an update with the token as it was.
func staleAnswer(next http.Handler, own servertest.Project) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !on("PATCH", tokenPath)(r) {
			next.ServeHTTP(w, r)
			return
		}
		before := record(next, asked(r, own, "PATCH", r.URL.Path, "{}"))
		a := record(next, r)
		if a.status == http.StatusOK {
			a.body = before.body
		}
		a.send(w)
	})
}

// asked makes a request of the suite's project, beside the one that came.
func asked(r *http.Request, own servertest.Project, method, path, body string) *http.Request {
	other := httptest.NewRequestWithContext(r.Context(), method, path, strings.NewReader(body))
	other.SetBasicAuth(own.ProjectID, own.Token)
	other.Header.Set("Content-Type", "application/json")
	return other
}

// requestMutants understand what was asked as something else.
func requestMutants() []mutant {
	all, tokens := on("", anyPath), on("", "/tokens")
	return []mutant{
		{name: "secrets are compared without regard to case", cases: []string{"auth.secret-case"}, handler: credentials(func(user, secret string) (string, string) {
			if len(secret) == 50 {
				secret = "PT" + strings.ToLower(secret[2:])
			}
			return user, secret
		})},
		{name: "spaces around a secret are cut off", cases: []string{"auth.secret-whole"}, handler: credentials(func(user, secret string) (string, string) {
			return user, strings.TrimSpace(secret)
		})},
		{name: "a secret is cut after 50 characters", cases: []string{"auth.secret-whole"}, handler: credentials(func(user, secret string) (string, string) {
			return user, secret[:min(50, len(secret))]
		})},
		{name: "a Project ID in capitals is unknown", cases: []string{"auth.project-case"}, handler: credentials(func(user, secret string) (string, string) {
			if user != strings.ToLower(user) {
				secret = ""
			}
			return user, secret
		})},
		{name: "the scheme must be written Basic", cases: []string{"auth.scheme"}, handler: requests(all, func(r *http.Request) {
			if strings.HasPrefix(r.Header.Get("Authorization"), "basic") {
				r.Header.Del("Authorization")
			}
		})},
		{name: "a bearer is let in", cases: []string{"auth.scheme"}, handler: bearers},
		{name: "permissions are compared without regard to case", cases: []string{"compat.create.permissions-case", "native.update.permissions-invalid"}, handler: bodies(tokens, func(body map[string]any) {
			list, _ := body["permissions"].([]any)
			for i := range list {
				if text, ok := list[i].(string); ok {
					list[i] = strings.ToLower(text)
				}
			}
		})},
		{name: "unknown permissions are left out", cases: []string{"compat.create.permissions-unknown", "compat.update.permissions-invalid"}, handler: bodies(tokens, func(body map[string]any) {
			if list, ok := body["permissions"].([]any); ok {
				body["permissions"] = slices.DeleteFunc(list, func(item any) bool { return item == "nope" })
			}
		})},
		{name: "unknown properties are ignored", cases: []string{"compat.create.unknown-property", "native.update.unknown-property"}, handler: bodies(tokens, func(body map[string]any) {
			for name := range body {
				if !slices.Contains([]string{"name", "permissions", "subproject_id", "expires_at", "grace_period_seconds"}, name) {
					delete(body, name)
				}
			}
		})},
		{name: "the names of properties are compared without regard to case", cases: []string{"compat.create.property-case", "native.create.property-case"}, handler: bodies(tokens, func(body map[string]any) {
			delete(body, "Name")
		})},
		{name: "null is taken for absent", cases: []string{"compat.update.name-invalid", "native.update.permissions-invalid"}, handler: bodies(on("PATCH", "/tokens"), func(body map[string]any) {
			for _, name := range []string{"name", "permissions"} {
				if value, there := body[name]; there && value == nil {
					delete(body, name)
				}
			}
		})},
		{name: "names are trimmed", cases: []string{"compat.create.name-unicode", "native.create.name-unicode"}, handler: names(strings.TrimSpace)},
		{name: "names are cut after 255 characters", cases: []string{"compat.create.name-255", "native.update.name-invalid"}, handler: names(func(name string) string {
			runes := []rune(name)
			return string(runes[:min(255, len(runes))])
		})},
		{name: "names have at most 255 bytes", cases: []string{"compat.create.name-255", "native.create.name-255"}, handler: names(func(name string) string {
			if len(name) > 255 {
				return strings.Repeat("x", 256)
			}
			return name
		})},
		{name: "names have at most 254 characters", cases: []string{"compat.create.name-255"}, handler: names(func(name string) string {
			if len([]rune(name)) == 255 {
				return name + "x"
			}
			return name
		})},
		{name: "names are made of ASCII", cases: []string{"compat.update.name"}, handler: names(func(name string) string {
			return strings.Map(func(r rune) rune { return min(r, '~') }, name)
		})},
		{name: "a blank name gets a default", cases: []string{"compat.create.name-blank", "native.update.name-invalid"}, handler: names(func(name string) string {
			if strings.TrimSpace(name) == "" {
				return "Token"
			}
			return name
		})},
		{name: "an empty list of permissions is taken for absent", cases: []string{"compat.update.permissions-none", "native.update.permissions-none"}, handler: bodies(on("PATCH", "/tokens"), func(body map[string]any) {
			if list, ok := body["permissions"].([]any); ok && len(list) == 0 {
				delete(body, "permissions")
			}
		})},
		{name: "subproject_id is ignored", cases: []string{"compat.create.subproject", "native.create.subproject-foreign"}, handler: bodies(tokens, func(body map[string]any) {
			delete(body, "subproject_id")
		})},
		{name: ".json is no end of a path", cases: []string{"http.json-suffix"}, handler: requests(all, func(r *http.Request) {
			r.URL.Path = strings.ReplaceAll(r.URL.Path, ".json", ".jsonx")
		})},
		{name: ".json is an end of native paths too", cases: []string{"http.json-suffix-native"}, handler: requests(on("", "/api/project"), func(r *http.Request) {
			r.URL.Path = strings.TrimSuffix(r.URL.Path, ".json")
		})},
		{name: "/api/laml cannot be left out", cases: []string{"http.short-path"}, handler: requests(on("", "^/2010-04-01"), func(r *http.Request) {
			r.URL.Path = "/nothing"
		})},
		{name: "UUIDs in a path must be in lower case", cases: []string{"reach.capitals"}, handler: requests(all, func(r *http.Request) {
			if strings.Contains(r.URL.Path, "/Accounts/") && r.URL.Path[len("/api/laml/2010-04-01/Accounts/"):] != strings.ToLower(r.URL.Path[len("/api/laml/2010-04-01/Accounts/"):]) {
				r.URL.Path = "/nothing"
			}
		})},
		{name: "brackets are part of a key", cases: []string{"compat.form.lists", "compat.form.update"}, handler: forms(func(form url.Values) {
			if values := form["permissions[]"]; values != nil {
				form["permissions[ ]"] = values
				delete(form, "permissions[]")
			}
		})},
		{name: "the last of several values in a form counts", cases: []string{"compat.form.lists", "compat.form.single"}, handler: forms(func(form url.Values) {
			for key, values := range form {
				form[key] = values[len(values)-1:]
			}
		})},
		{name: "there are no forms", cases: []string{"compat.form.create", "accounts.create"}, handler: requests(all, func(r *http.Request) {
			if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www") {
				r.Header.Set("Content-Type", "text/plain")
			}
		})},
		{name: "accounts take no JSON", cases: []string{"accounts.update.json"}, handler: requests(on("POST", accountPath), func(r *http.Request) {
			if r.Header.Get("Content-Type") == "application/json" {
				r.Header.Set("Content-Type", "text/plain")
			}
		})},
		{name: "of two equal names in JSON the last counts", cases: []string{"compat.body.syntax", "native.body.syntax"}, handler: bodies(tokens, func(map[string]any) {})},
		{name: "what follows the JSON is not read", cases: []string{"compat.body.syntax", "native.body.syntax"}, handler: requests(tokens, func(r *http.Request) {
			var value json.RawMessage
			if body := readBody(r); json.NewDecoder(bytes.NewReader(body)).Decode(&value) == nil && len(value) < len(body) && len(body) < 1000 && r.Header.Get("Content-Type") == "application/json" {
				setBody(r, value)
			}
		})},
		{name: "any media type is taken for JSON", cases: []string{"compat.body.media-type", "order.media-type-before-parameters"}, handler: requests(tokens, func(r *http.Request) {
			if !strings.Contains(r.Header.Get("Content-Type"), "form-urlencoded") {
				r.Header.Set("Content-Type", "application/json")
			}
		})},
		{name: "the character set is ignored", cases: []string{"compat.body.charset", "native.body.charset"}, handler: requests(tokens, func(r *http.Request) {
			r.Header.Set("Content-Type", strings.TrimSuffix(r.Header.Get("Content-Type"), "; charset=latin1"))
		})},
		{name: "a deletion reads its body", cases: []string{"compat.delete.body-ignored"}, handler: unread},
		{name: "Idempotency-Key is ignored", cases: []string{"ext.compat.idempotency.same", "ext.native.idempotency.other-request", "ext.idempotency.rotate"}, handler: requests(all, func(r *http.Request) {
			r.Header.Del("Idempotency-Key")
		})},
		{name: "any Idempotency-Key will do", cases: []string{"ext.idempotency.invalid"}, handler: requests(all, func(r *http.Request) {
			if key := r.Header.Get("Idempotency-Key"); len(key) > 255 || strings.Contains(key, " ") {
				r.Header.Set("Idempotency-Key", "x")
			}
		})},
		{name: "another request with a key gets the answer of the first", cases: []string{"ext.compat.idempotency.other-request", "ext.idempotency.project"}, handler: replays},
		{name: "expires_at is ignored", cases: []string{"ext.compat.expiry.create", "ext.native.expiry.update"}, handler: bodies(tokens, func(body map[string]any) {
			delete(body, "expires_at")
		})},
	}
}

// credentials makes the server take a credential for another.
func credentials(change func(user, secret string) (string, string)) breaker {
	return requests(on("", anyPath), func(r *http.Request) {
		if user, secret, ok := r.BasicAuth(); ok {
			r.SetBasicAuth(change(user, secret))
		}
	})
}

// bearers lets in whoever has a secret of the own project, by whatever scheme.
func bearers(next http.Handler, own servertest.Project) http.Handler {
	return requests(on("", anyPath), func(r *http.Request) {
		if secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			r.SetBasicAuth(own.ProjectID, secret)
		}
	})(next, own)
}

// names makes the server take the name of a token for another.
func names(change func(string) string) breaker {
	return bodies(on("", "/tokens"), func(body map[string]any) {
		if name, ok := body["name"].(string); ok {
			body["name"] = change(name)
		}
	})
}

// forms makes the server understand forms as others.
func forms(change func(url.Values)) breaker {
	return requests(on("", anyPath), func(r *http.Request) {
		if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			return
		}
		if form, err := url.ParseQuery(string(readBody(r))); err == nil {
			change(form)
			setBody(r, []byte(form.Encode()))
		}
	})
}

// unread refuses a deletion whose body is no JSON.
func unread(next http.Handler, _ servertest.Project) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body := readBody(r); r.Method == http.MethodDelete && len(body) > 0 && !json.Valid(body) {
			refusal(http.StatusBadRequest, 10000).send(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// replays keeps the answer of each key, whoever asks for whatever.
func replays(next http.Handler, _ servertest.Project) http.Handler {
	var mu sync.Mutex
	kept := map[string]*recorded{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		key := r.Header.Get("Idempotency-Key")
		a := kept[key]
		if a == nil {
			a = record(next, r)
			if key != "" && a.status < 300 {
				kept[key] = a
			}
		}
		a.send(w)
	})
}

// orderMutants make the checks in another order.
func orderMutants() []mutant {
	return []mutant{
		{name: "a body is looked at before the credential", cases: []string{"order.credential-before-schema", "order.credential-before-media-type"}, handler: early(http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)},
		{name: "whoever has no credential learns what exists", cases: []string{"order.credential-before-existence", "order.permission-before-existence"}, handler: early(http.StatusNotFound)},
		{name: "parameters are looked at before the permission", cases: []string{"order.permission-before-parameters", "order.credential-before-parameters"}, handler: early(http.StatusBadRequest)},
		{name: "the credential is looked at before the method", cases: []string{"order.method-before-credential", "http.options"}, handler: late(http.StatusMethodNotAllowed, http.StatusNoContent)},
		{name: "the credential is looked at before the route", cases: []string{"order.route-before-credential"}, handler: late(http.StatusNotFound)},
		{name: "a token is looked for before the body is checked", cases: []string{"order.schema-before-existence"}, handler: missingFirst},
		{name: "a media type is looked at after the size", cases: []string{"order.media-type-before-size"}, handler: sizeFirst},
	}
}

// early gives answers of these statuses to callers without a good credential too.
func early(statuses ...int) breaker {
	return func(next http.Handler, own servertest.Project) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := readBody(r)
			privileged := asked(r, own, r.Method, r.URL.String(), string(body))
			privileged.Header.Set("Content-Type", r.Header.Get("Content-Type"))
			a := record(next, r)
			if a.status == http.StatusUnauthorized {
				if better := record(next, privileged); slices.Contains(statuses, better.status) {
					a = better
				}
			}
			a.send(w)
		})
	}
}

// late answers 401 to a caller without a good credential in place of these statuses.
func late(statuses ...int) breaker {
	return func(next http.Handler, own servertest.Project) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, secret, _ := r.BasicAuth()
			a := record(next, r)
			if slices.Contains(statuses, a.status) && (user != own.ProjectID || secret != own.Token) {
				a = refusal(http.StatusUnauthorized, 20003)
			}
			a.send(w)
		})
	}
}

// missingFirst answers 404 before it looks at a body.
func missingFirst(next http.Handler, own servertest.Project) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			if a := record(next, asked(r, own, "PATCH", r.URL.Path, "{}")); a.status == http.StatusNotFound {
				a.send(w)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// sizeFirst answers 413 before it looks at the media type.
func sizeFirst(next http.Handler, _ servertest.Project) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 64<<10 {
			refusal(http.StatusRequestEntityTooLarge, 10000).send(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}
