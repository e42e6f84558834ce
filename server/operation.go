package server

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/tokenwire/tokenwire/gen/serverapi"
)

// operation is what the contract says about one operation, in the form in which requests are held against it.
type operation struct {
	id         string
	path       string // with the names of its parameters in braces
	secured    bool   // it needs a credential
	permission string // that the credential's token must hold; "" when any will do
	params     []parameter
	body       *openapi3.Schema // nil when it takes none
	bodyNeeded bool
	mediaTypes []string // of the body
	properties []string // of the body, in the order in which failures are reported
	errors     errorShapes
	documented []documentedError
	// answersBody says that a call that succeeds is answered with a body.
	answersBody bool
	statuses    []int // of its answers
	sandbox     bool  // it exists in a sandbox only
	page        bool  // it is for browsers
}

// loadOperations reads the embedded contract: once, so that no request has to.
func loadOperations() (map[string]*operation, error) {
	spec, err := serverapi.GetSpec()
	if err != nil {
		return nil, err
	}
	operations := make(map[string]*operation)
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			loaded, err := loadOperation(spec, item, op)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			loaded.path = path
			operations[loaded.id] = loaded
		}
	}
	return operations, nil
}

func loadOperation(spec *openapi3.T, item *openapi3.PathItem, op *openapi3.Operation) (*operation, error) {
	secured := isSecured(spec, op)
	permission, err := requiredPermission(secured, op)
	if err != nil {
		return nil, err
	}
	loaded := &operation{id: op.OperationID, secured: secured, permission: permission}
	for _, param := range slices.Concat(item.Parameters, op.Parameters) {
		loadedParam, err := loadParameter(param.Value)
		if err != nil {
			return nil, err
		}
		loaded.params = append(loaded.params, loadedParam)
	}
	if loaded.errors, err = loadErrorShapes(op.Responses); err != nil {
		return nil, err
	}
	if loaded.documented, err = loadDocumentedErrors(op.Responses); err != nil {
		return nil, err
	}
	if loaded.statuses, err = statusesOf(op.Responses); err != nil {
		return nil, err
	}
	loaded.answersBody = hasBody(op.Responses)
	loaded.page = slices.Contains(op.Tags, "Documentation")
	loaded.sandbox, _ = op.Extensions["x-sandbox"].(bool)
	if op.RequestBody == nil {
		return loaded, nil
	}
	loaded.bodyNeeded = op.RequestBody.Value.Required
	for mediaType, content := range op.RequestBody.Value.Content {
		if loaded.body != nil && loaded.body != content.Schema.Value {
			return nil, errors.New("a form and JSON must have the same schema: handlers see no difference")
		}
		loaded.body = content.Schema.Value
		loaded.mediaTypes = append(loaded.mediaTypes, mediaType)
	}
	slices.Sort(loaded.mediaTypes)
	for name := range loaded.body.Properties {
		loaded.properties = append(loaded.properties, name)
	}
	slices.Sort(loaded.properties) // the contract lists them alphabetically
	return loaded, nil
}

// statusesOf returns the statuses that the contract documents.
func statusesOf(responses *openapi3.Responses) ([]int, error) {
	var statuses []int
	for text := range responses.Map() {
		status, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("the status %q is none", text)
		}
		statuses = append(statuses, status)
	}
	slices.Sort(statuses)
	return statuses, nil
}

// hasBody reports whether an answer that is no error has a body.
func hasBody(responses *openapi3.Responses) bool {
	for status, response := range responses.Map() {
		if strings.HasPrefix(status, "2") && len(response.Value.Content) > 0 {
			return true
		}
	}
	return false
}
