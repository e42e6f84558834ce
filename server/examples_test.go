package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// errorExamples is a call for each example of an error in the contract, on a server whose store is broken for some ids.
func errorExamples(t *testing.T, a *api) map[string]call {
	t.Helper()
	weak := a.create(t, a.Project, "fax")
	child := a.subproject(t, a.Project)
	path := tokenPath(a.ProjectID, a.TokenID)
	large := fmt.Sprintf("%70000s", "{}")
	reused := withKey(jsonCall("POST", tokensPath(a.ProjectID), `{"name":"x","permissions":["fax"]}`), "key")
	a.do(t, reused.as(a.Project)).want(t, 200)
	reused.body = `{"name":"y","permissions":["fax"]}`
	failing := jsonCall("PATCH", tokenPath(a.ProjectID, breaksStore), "{}")
	failing.header = http.Header{"X-Request-Id": {"019377c5-7a4e-7c1f-8f0a-2f1f6a6d7b10"}}
	as := func(c call) call { return c.as(a.Project) }
	chat := a.create(t, a.Project, "chat")
	forwarded := func(uri string) call { return original("GET", uri).as(chat) }
	twice := forwarded("/api/chat/tokens")
	twice.header.Add("X-Original-Uri", "/api/chat/tokens")
	appended := forwarded("/api/fax/logs?permission=chat")
	appended.path += "?permission=chat"
	calls := map[string]call{
		"BadVerification/permission":       as(call{method: "GET", path: verifyPath + "?permission=voice"}),
		"Unauthenticated/credential":       {method: "GET", path: verifyPath},
		"Forbidden/lacking":                call{method: "GET", path: verifyPath + "?permission=messaging"}.as(chat),
		"Forbidden/lackingAll":             forwarded(compat + "/" + a.ProjectID + "/Applications"),
		"Forbidden/noRule":                 forwarded("/elsewhere"),
		"Forbidden/originalPath":           forwarded("/api/chat/../fax/logs"),
		"Forbidden/originalAccount":        as(original("GET", compat+"/"+unknownID)),
		"Forbidden/originalHeaders":        twice,
		"Forbidden/originalQuery":          appended,
		"BadRequest/parameter":             as(jsonCall("PATCH", tokenPath(a.ProjectID, "x"), "{}")),
		"BadRequest/pageToken":             as(call{method: "GET", path: compat + "?PageToken=x"}),
		"BadRequest/nested":                formCall("POST", compat, "FriendlyName=x").as(child),
		"BadRequest/syntax":                as(jsonCall("PATCH", path, `{"name":`)),
		"Unauthorized/credential":          jsonCall("PATCH", path, "{}"),
		"Unauthorized/permission":          jsonCall("PATCH", path, "{}").as(weak),
		"MethodNotAllowed/method":          {method: "PUT", path: path},
		"NotFound/notFound":                as(jsonCall("PATCH", tokenPath(a.ProjectID, unknownID), "{}")),
		"ContentTooLarge/size":             as(jsonCall("PATCH", path, large)),
		"UnsupportedMediaType/mediaType":   as(call{method: "PATCH", path: path, body: "{}"}),
		"InvalidToken/name":                as(jsonCall("PATCH", path, `{"name":""}`)),
		"InvalidToken/permissions":         as(jsonCall("PATCH", path, `{"permissions":["x"]}`)),
		"InvalidToken/subproject":          as(jsonCall("POST", tokensPath(a.ProjectID), `{"name":"x","permissions":["fax"],"subproject_id":"`+unknownID+`"}`)),
		"InvalidToken/idempotencyKey":      reused.as(a.Project),
		"InvalidToken/unknown":             as(jsonCall("PATCH", path, `{"permisions":[]}`)),
		"InvalidSandbox/fault":             jsonCall("POST", "/_sandbox/projects/"+a.ProjectID+"/faults", `{"operation":"delete_project_token","status":418}`),
		"InvalidAccount/name":              as(formCall("POST", compat, "")),
		"InternalError/internal":           failing.as(a.Project),
		"Unavailable/unavailable":          as(jsonCall("PATCH", tokenPath(a.ProjectID, unavailableStore), "{}")),
		"NativeBadRequest/error":           as(jsonCall("PATCH", native+"/x", "{}")),
		"NativeNotFound/error":             as(call{method: "DELETE", path: native + "/" + unknownID}),
		"NativeUnauthorized/error":         {method: "DELETE", path: native + "/" + unknownID},
		"NativeMethodNotAllowed/error":     {method: "PUT", path: native},
		"NativeContentTooLarge/error":      as(jsonCall("POST", native, large)),
		"NativeInvalidToken/fields":        as(jsonCall("POST", native, `{"name":"","permissions":["x"]}`)),
		"NativeUnsupportedMediaType/error": as(formCall("POST", native, "name=x")),
		"NativeInternalError/error":        as(jsonCall("PATCH", native+"/"+breaksStore, "{}")),
		"NativeUnavailable/error":          as(jsonCall("PATCH", native+"/"+unavailableStore, "{}")),
	}
	return calls
}

// documentedURL is the server in the contract's examples.
const documentedURL = "http://127.0.0.1:8080"

// TestErrorExamples: each example of an error in the contract is, word for word, what the server says.
func TestErrorExamples(t *testing.T) {
	t.Parallel()
	a := start(t, &servertest.Options{WrapStore: broken, PublicURL: documentedURL})
	impatient := start(t, &servertest.Options{WrapStore: broken, AuthFailuresPerMinute: 1, PublicURL: documentedURL})
	impatient.do(t, call{method: "GET", path: compat}).want(t, 401)
	calls := errorExamples(t, a)
	limited := map[string]call{
		"TooManyRequests/rate":        {method: "GET", path: compat},
		"NativeTooManyRequests/error": {method: "DELETE", path: native + "/" + unknownID},
	}
	for response, ref := range spec(t).Components.Responses {
		if response == "Healthy" || response == "Verified" { // these are no errors
			continue
		}
		for name, example := range ref.Value.Content[jsonType].Examples {
			title := response + "/" + name
			var got answer
			if c, ok := calls[title]; ok {
				got = a.do(t, c)
			} else if c, ok := limited[title]; ok {
				got = impatient.do(t, c)
			} else {
				t.Errorf("nothing shows that the example %s is true", title)
				continue
			}
			text, err := json.Marshal(example.Value.Value)
			if err != nil {
				t.Fatal(err)
			}
			var said, documented any
			if json.Unmarshal([]byte(got.body), &said) != nil || json.Unmarshal(text, &documented) != nil || !equal(said, documented) {
				t.Errorf("%s:\n     said %v\ndocumented %v", title, said, documented)
			}
		}
	}
}

// TestRequestExamplesWork sends every example of a request body.
func TestRequestExamplesWork(t *testing.T) {
	t.Parallel()
	a := start(t, &servertest.Options{InMemory: true})
	child := a.subproject(t, a.Project)
	for path, item := range spec(t).Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody == nil {
				continue
			}
			for mediaType, content := range op.RequestBody.Value.Content {
				for name, example := range content.Examples {
					c := call{method: method, path: fill(path, a, a.create(t, a.Project, "fax").TokenID), contentType: mediaType}
					value := example.Value.Value.(map[string]any)
					if value["subproject_id"] != nil {
						value = map[string]any{"name": value["name"], "permissions": value["permissions"], "subproject_id": child.ProjectID}
					}
					if value["snapshot_id"] != nil {
						value["snapshot_id"] = a.do(t, control("POST", a.Project, "/snapshots", "")).want(t, 201).text(t, "id")
					}
					c.body = encode(t, mediaType, value)
					a.do(t, control("DELETE", a.Project, "/faults", "")).want(t, 204) // which an example before this one may have set
					if got := a.do(t, c.as(a.Project)); got.status > 204 {
						t.Errorf("example %s of %s in %s: %d %s", name, op.OperationID, mediaType, got.status, got.body)
					}
				}
			}
		}
	}
}
