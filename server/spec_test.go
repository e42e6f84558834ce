package server_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	yaml "github.com/oasdiff/yaml3"
)

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
		if mediaType == "application/yaml" || content.Schema.Ref == "#/components/schemas/OpenAPIDocument" {
			continue // a document of OpenAPI is described elsewhere
		}
		if schema := content.Schema.Value; schema.Type.Is("object") && (schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has) {
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

// fill puts an account and a token into a path of the contract.
func fill(path string, a *api, token string) string {
	for name, value := range map[string]string{"{AccountSid}": a.ProjectID, "{Sid}": a.ProjectID, "{project_id}": a.ProjectID, "{token_id}": token} {
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
