package server_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	yaml "github.com/oasdiff/yaml3"
)

// TestContractExamples: the examples of errors in the contract are what the server says.
func TestContractExamples(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
	weak := a.create(t, a.Project, "fax")
	child := a.subproject(t, a.Project)
	path := tokenPath(a.ProjectID, a.TokenID)
	const good = `{"name":"x","permissions":["fax"]}`
	for example, c := range map[string]call{
		"BadRequest/parameter":             jsonCall("PATCH", tokenPath(a.ProjectID, "x"), "{}").as(a.Project),
		"BadRequest/pageToken":             {method: "GET", path: compat + "?PageToken=x", user: a.ProjectID, pass: a.Token},
		"BadRequest/nested":                formCall("POST", compat, "FriendlyName=x").as(child),
		"Unauthorized/credential":          jsonCall("PATCH", path, "{}"),
		"Unauthorized/permission":          jsonCall("PATCH", path, "{}").as(weak),
		"MethodNotAllowed/method":          {method: "PUT", path: path},
		"NotFound/notFound":                jsonCall("PATCH", tokenPath(a.ProjectID, unknownID), "{}").as(a.Project),
		"ContentTooLarge/size":             jsonCall("PATCH", path, fmt.Sprintf("%70000s", "{}")).as(a.Project),
		"UnsupportedMediaType/mediaType":   {method: "PATCH", path: path, body: "{}", user: a.ProjectID, pass: a.Token},
		"InvalidToken/name":                jsonCall("PATCH", path, `{"name":""}`).as(a.Project),
		"InvalidToken/permissions":         jsonCall("PATCH", path, `{"permissions":["x"]}`).as(a.Project),
		"InvalidToken/subproject":          jsonCall("POST", tokensPath(a.ProjectID), `{"name":"x","permissions":["fax"],"subproject_id":"`+unknownID+`"}`).as(a.Project),
		"InvalidToken/unknown":             jsonCall("PATCH", path, `{"permisions":[]}`).as(a.Project),
		"InvalidAccount/name":              formCall("POST", compat, "").as(a.Project),
		"NativeNotFound/error":             {method: "DELETE", path: native + "/" + unknownID, user: a.ProjectID, pass: a.Token},
		"NativeUnauthorized/error":         {method: "DELETE", path: native + "/" + unknownID},
		"NativeInvalidToken/fields":        jsonCall("POST", native, `{"name":"","permissions":["x"]}`).as(a.Project),
		"NativeUnsupportedMediaType/error": formCall("POST", native, good).as(a.Project),
	} {
		response, name := filepath.Split(example)
		want := spec(t).Components.Responses[filepath.Clean(response)].Value.Content[jsonType].Examples[name].Value.Value
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var said, documented any
		if json.Unmarshal([]byte(a.do(t, c).body), &said) != nil || json.Unmarshal(text, &documented) != nil || !equal(said, documented) {
			t.Errorf("%s:\n     said %v\ndocumented %v", example, said, documented)
		}
	}
}

// TestContractIsValid: the document itself, and every example in it.
func TestContractIsValid(t *testing.T) {
	t.Parallel()
	doc := spec(t)
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation()); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			where := method + " " + path
			if op.OperationID == "" || seen[op.OperationID] || op.Summary == "" || op.Description == "" || len(op.Tags) != 1 {
				t.Errorf("%s lacks an id of its own, a summary, a description or its one tag", where)
			}
			seen[op.OperationID] = true
			if op.RequestBody != nil {
				checkContent(t, where, op.RequestBody.Value.Content)
			}
			for status, response := range op.Responses.Map() {
				if response.Value.Headers["X-Request-Id"] == nil {
					t.Errorf("%s %s lacks X-Request-Id", where, status)
				}
				checkContent(t, where+" "+status, response.Value.Content)
			}
		}
	}
	for name, schema := range doc.Components.Schemas {
		checkBounds(t, name, schema)
	}
}

func checkContent(t *testing.T, where string, contents openapi3.Content) {
	t.Helper()
	for mediaType, content := range contents {
		if len(content.Examples) == 0 {
			t.Errorf("%s has no example in %s", where, mediaType)
		}
		if schema := content.Schema.Value; schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has {
			t.Errorf("%s is open in %s", where, mediaType)
		}
	}
}

// checkBounds: every schema has a description, every text and list an end, and every object is closed.
func checkBounds(t *testing.T, where string, ref *openapi3.SchemaRef) {
	t.Helper()
	schema := ref.Value
	if schema.Description == "" {
		t.Errorf("%s has no description", where)
	}
	switch {
	case schema.Type.Is("string") && len(schema.Enum) == 0 && schema.MaxLength == nil:
		t.Errorf("%s has no maxLength", where)
	case schema.Type.Is("integer") && (schema.Min == nil || schema.Max == nil):
		t.Errorf("%s has no bounds", where)
	case schema.Type.Is("array"):
		if schema.MaxItems == nil {
			t.Errorf("%s has no maxItems", where)
		}
		checkBounds(t, where+" items", schema.Items)
	case schema.Type.Is("object"):
		for name, property := range schema.Properties {
			checkBounds(t, where+"."+name, property)
		}
	}
}

// TestRequestPropertiesAreAlphabetical: the server reports failures in that order, and the contract says so.
func TestRequestPropertiesAreAlphabetical(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Schemas map[string]struct{ Properties yaml.Node }
		}
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"CreateTokenRequest", "UpdateTokenRequest", "RotateTokenRequest", "AccountRequest"} {
		var names []string
		for pair := range slices.Chunk(document.Components.Schemas[name].Properties.Content, 2) {
			names = append(names, pair[0].Value)
		}
		if len(names) == 0 || !slices.IsSorted(names) {
			t.Errorf("%s lists %v", name, names)
		}
	}
}

// TestRequestExamplesWork sends every example of a request body.
func TestRequestExamplesWork(t *testing.T) {
	t.Parallel()
	a := start(t, nil)
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
					c.body = encode(t, mediaType, value)
					if got := a.do(t, c.as(a.Project)); got.status > 201 {
						t.Errorf("example %s of %s in %s: %d %s", name, op.OperationID, mediaType, got.status, got.body)
					}
				}
			}
		}
	}
}

// fill puts an account and a token into a path of the contract.
func fill(path string, a *api, token string) string {
	for name, value := range map[string]string{"{AccountSid}": a.ProjectID, "{Sid}": a.ProjectID, "{token_id}": token} {
		path = strings.ReplaceAll(path, name, value)
	}
	return path
}

func encode(t *testing.T, mediaType string, value map[string]any) string {
	t.Helper()
	if mediaType == formType {
		values := url.Values{}
		for name, member := range value {
			list, ok := member.([]any)
			if !ok {
				list = []any{member}
			}
			for _, entry := range list {
				values.Add(name, sprint(entry))
			}
		}
		return values.Encode()
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
