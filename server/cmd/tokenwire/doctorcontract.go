package main

import (
	"context"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/store"
)

// checkContract finds names and permissions that the contract does not have: an answer with them would not be one of the contract's.
func checkContract(ctx context.Context, e examination) ([]string, error) {
	spec, err := serverapi.GetSpec()
	if err != nil {
		return nil, err
	}
	projects, tokens, permissions := 0, 0, 0
	err = e.EachProject(ctx, func(project store.Project) {
		if !isName(spec, "AccountName", project.Name) {
			projects++
		}
	})
	if err != nil {
		return nil, err
	}
	err = e.EachToken(ctx, func(token store.Token) {
		if !isName(spec, "TokenName", token.Name) {
			tokens++
		}
		if !arePermissions(token.Permissions) {
			permissions++
		}
	})
	var problems []string
	for _, found := range []struct {
		count int
		what  string
	}{
		{projects, "projects with a name that is empty, too long or no text"},
		{tokens, "tokens with a name that is empty, too long or no text"},
		{permissions, "tokens whose permissions are not some of the contract's, sorted, each once"},
	} {
		if found.count > 0 {
			problems = append(problems, fmt.Sprintf("%d %s", found.count, found.what))
		}
	}
	return problems, err
}

// isName reports whether the contract's schema for names allows a name.
func isName(spec *openapi3.T, schema, name string) bool {
	return utf8.ValidString(name) && spec.Components.Schemas[schema].Value.VisitJSONString(name) == nil
}

func arePermissions(permissions []string) bool {
	return slices.Equal(permissions, store.PermissionSet(permissions)) &&
		!slices.ContainsFunc(permissions, func(text string) bool { return !serverapi.Permission(text).Valid() })
}
