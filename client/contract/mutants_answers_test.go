package contract_test

import (
	"html"
	"net/http"
	"slices"
	"strings"
)

// answerMutants answer what was asked, and say it wrong.
func answerMutants() []mutant {
	all := on("", anyPath)
	return []mutant{
		{name: "a creation is answered 201", cases: []string{"compat.create.answer", "native.create.answer"}, handler: status(on("POST", tokensPath), 200, 201)},
		{name: "a new subproject is answered 200", cases: []string{"accounts.create"}, handler: status(on("POST", accountList), 201, 200)},
		{name: "an update is answered 202", cases: []string{"compat.update.name", "native.update.name"}, handler: status(on("PATCH", tokenPath), 200, 202)},
		{name: "a deletion is answered 200", cases: []string{"compat.delete.answer", "native.delete.answer"}, handler: status(on("DELETE", tokenPath), 204, 200)},
		{name: "a creation leaves the secret out", cases: []string{"compat.create.answer", "compat.create.authenticates"}, handler: drop(on("POST", tokensPath), 200, "token")},
		{name: "an update leaves the secret out", cases: []string{"compat.update.nothing", "native.update.nothing"}, handler: drop(on("PATCH", tokenPath), 200, "token")},
		{name: "an update masks the secret", cases: []string{"compat.update.secret-kept"}, handler: set(on("PATCH", tokenPath), 200, "token", "PT"+strings.Repeat("0", 48))},
		{name: "an update leaves the permissions out", cases: []string{"compat.update.absent-permissions-kept"}, handler: drop(on("PATCH", tokenPath), 200, "permissions")},
		{name: "a token has a property more", cases: []string{"compat.create.answer"}, handler: set(on("POST", tokensPath), 200, "expires_at", nil)},
		{name: "the id of a token is a number", cases: []string{"compat.create.answer"}, handler: set(on("POST", tokensPath), 200, "id", 7)},
		{name: "an empty list of permissions is null", cases: []string{"compat.update.permissions-none"}, handler: members(on("PATCH", tokenPath), 200, func(token map[string]any) {
			if list, _ := token["permissions"].([]any); len(list) == 0 {
				token["permissions"] = nil
			}
		})},
		{name: "permissions come in reverse order", cases: []string{"compat.create.permissions-set", "native.create.permissions-set"}, handler: members(on("", "tokens"), 200, func(token map[string]any) {
			if list, ok := token["permissions"].([]any); ok {
				slices.Reverse(list)
			}
		})},
		{name: "names are escaped for HTML", cases: []string{"compat.create.name-unicode", "native.create.name-unicode"}, handler: members(on("", "tokens"), 200, func(token map[string]any) {
			if name, ok := token["name"].(string); ok {
				token["name"] = html.EscapeString(name)
			}
		})},
		{name: "the answer to an update is the token before it", cases: []string{"compat.update.name"}, handler: staleAnswer},
		{name: "answers are text", cases: []string{"compat.create.answer", "accounts.get.own"}, handler: answers(all, func(_ *http.Request, a *recorded) {
			a.header.Set("Content-Type", "text/plain")
		})},
		{name: "there is no X-Request-Id", cases: []string{"http.request-id", "http.request-id-kept"}, handler: answers(all, func(_ *http.Request, a *recorded) {
			a.header.Del("X-Request-Id")
		})},
		{name: "every answer has the same X-Request-Id", cases: []string{"http.request-id"}, handler: answers(all, func(_ *http.Request, a *recorded) {
			a.header.Set("X-Request-Id", "same")
		})},
		{name: "any X-Request-Id is kept", cases: []string{"http.request-id-kept"}, handler: answers(all, func(r *http.Request, a *recorded) {
			if id := r.Header.Get("X-Request-Id"); id != "" {
				a.header.Set("X-Request-Id", id)
			}
		})},
		{name: "the X-Request-Id of a request is lost", cases: []string{"http.request-id-kept", "ext.audit.actor"}, handler: requests(all, func(r *http.Request) {
			r.Header.Del("X-Request-Id")
		})},
		{name: "the signing key is shown again", cases: []string{"accounts.get.subproject", "accounts.create"}, handler: members(on("GET", accountPath), 200, func(account map[string]any) {
			if account["subproject"] == true {
				account["signing_key"] = "PSK" + strings.Repeat("0", 32)
			}
		})},
		{name: "the signing key is not shown", cases: []string{"accounts.create"}, handler: set(on("POST", accountList), 201, "signing_key", nil)},
		{name: "the auth_token is shown", cases: []string{"accounts.get.own"}, handler: set(on("GET", accountPath), 200, "auth_token", "PT"+strings.Repeat("0", 48))},
		{name: "dates are those of RFC 3339", cases: []string{"accounts.get.own"}, handler: set(on("GET", accountPath), 200, "date_created", "2026-11-23T09:30:00Z")},
		{name: "a subproject owns itself", cases: []string{"accounts.get.subproject"}, handler: members(on("GET", accountPath), 200, func(account map[string]any) {
			account["owner_account_sid"] = account["sid"]
		})},
		{name: "a top-level project has no owner", cases: []string{"accounts.get.own"}, handler: set(on("GET", accountPath), 200, "owner_account_sid", nil)},
		{name: "subproject is a text", cases: []string{"accounts.get.own"}, handler: set(on("GET", accountPath), 200, "subproject", "false")},
		{name: "the URIs lack the version", cases: []string{"accounts.get.uris"}, handler: members(on("GET", accountPath), 200, func(account map[string]any) {
			uri, _ := account["uri"].(string)
			account["uri"] = strings.Replace(uri, "/2010-04-01", "", 1)
		})},
		{name: "a subresource is missing", cases: []string{"accounts.get.uris"}, handler: members(on("GET", accountPath), 200, func(account map[string]any) {
			uris, _ := account["subresource_uris"].(map[string]any)
			delete(uris, "queues")
		})},
		{name: "the last four digits are those of the id", cases: []string{"ext.get.answer"}, handler: members(on("GET", tokenPath), 200, func(token map[string]any) {
			id, _ := token["id"].(string)
			token["secret_last_four"] = id[len(id)-4:]
		})},
		{name: "a fetched token has its secret", cases: []string{"ext.get.answer"}, handler: set(on("GET", tokenPath), 200, "token", "PT"+strings.Repeat("0", 48))},
	}
}

// errorMutants refuse what is to be refused, and say it wrong.
func errorMutants() []mutant {
	all := on("", anyPath)
	return []mutant{
		{name: "403 in place of 401", cases: []string{"compat.auth.missing", "compat.auth.permission", "native.auth.permission", "auth.accounts"}, handler: status(all, 401, 403)},
		{name: "401 without WWW-Authenticate", cases: []string{"compat.auth.missing", "native.auth.missing"}, handler: answers(all, func(_ *http.Request, a *recorded) {
			a.header.Del("WWW-Authenticate")
		})},
		{name: "WWW-Authenticate asks for a bearer", cases: []string{"compat.auth.missing"}, handler: answers(all, func(_ *http.Request, a *recorded) {
			if a.status == http.StatusUnauthorized {
				a.header.Set("WWW-Authenticate", "Bearer")
			}
		})},
		{name: "401 tells an unknown project from an unknown token", cases: []string{"auth.identical"}, handler: answers(all, func(r *http.Request, a *recorded) {
			if user, _, _ := r.BasicAuth(); a.status == http.StatusUnauthorized && strings.HasPrefix(user, "7a1d5f0e") {
				a.object(func(failure map[string]any) { failure["message"] = "No such project" })
			}
		})},
		{name: "who lacks a permission is not told which", cases: []string{"auth.permission-named"}, handler: set(all, 401, "message", "Authentication failed")},
		{name: "403 for an account of somebody else", cases: []string{"reach.subproject-of-parent", "accounts.get.unknown"}, handler: status(all, 404, 403)},
		{name: "the code of a 404 is that of a 401", cases: []string{"compat.update.unknown-token", "accounts.get.unknown"}, handler: set(all, 404, "code", 20003)},
		{name: "the body says another status", cases: []string{"compat.update.unknown-token"}, handler: set(all, 404, "status", 400)},
		{name: "an error has no more_info", cases: []string{"compat.update.bad-id"}, handler: drop(all, 400, "more_info")},
		{name: "what is no UUID is answered 404", cases: []string{"compat.update.bad-id", "native.delete.bad-id", "accounts.get.bad-id"}, handler: status(all, 400, 404)},
		{name: "a large body is answered 400", cases: []string{"compat.body.size", "native.body.size"}, handler: status(all, 413, 400)},
		{name: "another media type is answered 400", cases: []string{"compat.body.media-type", "native.body.media-type"}, handler: status(all, 415, 400)},
		{name: "a flaw is answered 400", cases: []string{"compat.create.name-blank", "native.update.name-invalid", "accounts.create.invalid"}, handler: status(all, 422, 400)},
		{name: "the code of a flaw is a number", cases: []string{"compat.create.name-blank"}, handler: set(on("POST", tokensPath), 422, "code", 10000)},
		{name: "every flaw has the same code", cases: []string{"compat.create.permissions-unknown", "compat.create.subproject-foreign"}, handler: set(on("POST", tokensPath), 422, "code", "10000")},
		{name: "a flaw has no attribute", cases: []string{"compat.create.name-missing"}, handler: drop(all, 422, "attribute")},
		{name: "a blank name has another message", cases: []string{"compat.create.name-blank", "compat.update.name-invalid"}, handler: set(on("", "tokens"), 422, "message", "Name is blank")},
		{name: "the native surface reports one flaw alone", cases: []string{"native.create.several-flaws"}, handler: members(all, 422, func(failure map[string]any) {
			if entries, ok := failure["errors"].([]any); ok {
				failure["errors"] = entries[:1]
			}
		})},
		{name: "the native surface has numbers for codes", cases: []string{"native.create.name-missing"}, handler: members(all, 422, func(failure map[string]any) {
			if entries, ok := failure["errors"].([]any); ok {
				entries[0].(map[string]any)["code"] = "10000"
			}
		})},
		{name: "native errors look like those of the other surface", cases: []string{"native.update.unknown-token", "native.auth.missing"}, handler: answers(on("", "/api/project/"), func(_ *http.Request, a *recorded) {
			if code := map[int]int{401: 20003, 404: 20404}[a.status]; code != 0 {
				a.body = refusal(a.status, code).body
			}
		})},
		{name: "an account's flaw looks like a token's", cases: []string{"accounts.create.invalid", "accounts.update.invalid"}, handler: answers(on("POST", "/Accounts(/[^/]+)?$"), func(_ *http.Request, a *recorded) {
			if a.status == http.StatusUnprocessableEntity {
				a.body = []byte(`{"type":"validation_error","code":"10000","message":"x","attribute":"FriendlyName","url":"https://example.com/#10000"}`)
			}
		})},
		{name: "405 does not say what is allowed", cases: []string{"http.no-method"}, handler: answers(all, func(_ *http.Request, a *recorded) { a.header.Del("Allow") })},
		{name: "405 allows a method too many", cases: []string{"http.no-method", "http.options"}, handler: answers(all, func(_ *http.Request, a *recorded) {
			if allow := a.header.Get("Allow"); allow != "" {
				a.header.Set("Allow", allow+", PUT")
			}
		})},
		{name: "another method is answered 404", cases: []string{"http.no-method", "order.method-before-credential"}, handler: status(all, 405, 404)},
		{name: "OPTIONS is answered 200", cases: []string{"http.options"}, handler: status(on("OPTIONS", anyPath), 204, 200)},
		{name: "HEAD is answered 405", cases: []string{"http.head"}, handler: status(on("HEAD", accountPath), 200, 405)},
		{name: "a probe needs a credential", cases: []string{"ext.probes"}, handler: status(on("GET", "^/(health|ready)z$"), 200, 401)},
	}
}
