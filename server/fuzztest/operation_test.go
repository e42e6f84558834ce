package fuzztest_test

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/tokenwire/tokenwire"
)

// operation is what the contract says about one operation, as far as requests are drawn from it.
type operation struct {
	id, method, path string
	params           []*openapi3.Parameter
	body             *openapi3.Schema // nil when it takes none
	bodyNeeded       bool
	mediaTypes       []string
	secured          bool
	sandbox          bool
	methods          []string // that the path has
	documented       []int    // statuses
}

// loadOperations reads the contract. The pages below /docs are for browsers, and left out.
func loadOperations() ([]*operation, error) {
	doc, err := openapi3.NewLoader().LoadFromData([]byte(tokenwire.OpenAPI()))
	if err != nil {
		return nil, err
	}
	var operations []*operation
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if slices.Contains(op.Tags, "Documentation") {
				continue
			}
			loaded := &operation{id: op.OperationID, method: method, path: path, secured: op.Security == nil}
			loaded.sandbox, _ = op.Extensions["x-sandbox"].(bool)
			loaded.methods = slices.Sorted(maps.Keys(item.Operations()))
			for _, param := range slices.Concat(item.Parameters, op.Parameters) {
				loaded.params = append(loaded.params, param.Value)
			}
			loaded.loadBody(op.RequestBody)
			if err := loaded.loadStatuses(op.Responses); err != nil {
				return nil, err
			}
			operations = append(operations, loaded)
		}
	}
	slices.SortFunc(operations, func(a, b *operation) int { return cmp.Compare(a.id, b.id) })
	return operations, nil
}

func (op *operation) loadBody(body *openapi3.RequestBodyRef) {
	if body == nil {
		return
	}
	op.bodyNeeded = body.Value.Required
	for _, mediaType := range slices.Sorted(maps.Keys(body.Value.Content)) {
		op.mediaTypes = append(op.mediaTypes, mediaType)
		op.body = body.Value.Content[mediaType].Schema.Value
	}
}

func (op *operation) loadStatuses(responses *openapi3.Responses) error {
	for _, text := range slices.Sorted(maps.Keys(responses.Map())) {
		status, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		op.documented = append(op.documented, status)
	}
	return nil
}

// takes reports whether the operation has a parameter.
func (op *operation) takes(name string) bool {
	return slices.ContainsFunc(op.params, func(p *openapi3.Parameter) bool { return p.Name == name })
}

// in returns the parameters of one kind.
func (op *operation) in(kind string) []*openapi3.Parameter {
	return slices.DeleteFunc(slices.Clone(op.params), func(p *openapi3.Parameter) bool { return p.In != kind })
}

// compat reports whether a path may be written in the ways of clients that descend from Twilio's.
func (op *operation) compat() bool { return strings.HasPrefix(op.path, "/api/laml/2010-04-01/") }

func findOperation(operations []*operation, id string) *operation {
	return operations[slices.IndexFunc(operations, func(op *operation) bool { return op.id == id })]
}
