package server

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"github.com/getkin/kin-openapi/openapi3"

	"github.com/tokenwire/tokenwire/gen/serverapi"
	"github.com/tokenwire/tokenwire/server/secret"
)

// maxUnknown bounds how many unknown properties of an object are named: a body may have thousands, and each has a sentence.
const maxUnknown = 100

// explain says in words what kin-openapi found. It has an error for each unknown property of an object, which does not say which one: the
// first stands for all of them. explained has the objects of which that was so.
func explain(err *openapi3.SchemaError, explained map[string]bool) []fieldError {
	path := err.JSONPointer()
	object, ok := err.Value.(map[string]any)
	switch {
	case ok && err.SchemaField == "properties":
		pointer := strings.Join(path, "/")
		if explained[pointer] {
			return nil
		}
		explained[pointer] = true
		return explainUnknown(path, object, err.Schema)
	case len(path) > 0:
		return []fieldError{explainProperty(path, err)}
	}
	return []fieldError{{bodyAttribute, invalidField, "The body must be an object"}}
}

// explainUnknown names the properties that an object must not have.
func explainUnknown(path []string, object map[string]any, schema *openapi3.Schema) []fieldError {
	where, known := "this body", sortedKeys(schema.Properties)
	if len(path) > 0 {
		where = strings.Join(path, ".")
	}
	var unknown []fieldError
	for _, name := range sortedKeys(object) {
		if _, ok := schema.Properties[name]; ok {
			continue
		}
		if len(unknown) == maxUnknown {
			break
		}
		hint := "."
		if similar := mostSimilar(name, known); similar != "" {
			hint = fmt.Sprintf("; did you mean %q?", similar)
		}
		end := ""
		if strings.HasPrefix(name, "{") {
			end = ". A JSON body needs the header Content-Type: application/json"
		}
		unknown = append(unknown, fieldError{strings.Join(append(slices.Clone(path), name), "."), invalidField, fmt.Sprintf(
			"%q is no property of %s%s Its properties are: %s%s", printable(name, maxAttribute), where, hint, strings.Join(known, ", "), end)})
	}
	return unknown
}

// mostSimilar returns the property that somebody meant who wrote name, or "" when it is like none of them.
func mostSimilar(name string, known []string) string {
	const most = 2 // slips: more of them, and it is a guess
	if len(name) > maxAttribute {
		return ""
	}
	best, least := "", most+1
	for _, candidate := range known {
		distance := levenshtein.ComputeDistance(strings.ToLower(name), candidate)
		if distance < least && distance < len(candidate)-1 {
			best, least = candidate, distance
		}
	}
	return best
}

func explainProperty(path []string, err *openapi3.SchemaError) fieldError {
	if isPermission(err.Schema) {
		return explainPermission(strings.Join(path[:len(path)-1], "."), err)
	}
	name := strings.Join(path, ".")
	f := fieldError{name, invalidField, label(name) + " "}
	schema := err.Schema
	switch err.SchemaField {
	case "required":
		f.kind = missingField
		f.message += "must be present"
	case "nullable":
		f.message += "must not be null"
	case "enum":
		f.message += "must be one of: " + joinAny(err.Schema.Enum)
	case "type":
		f.message += "must be " + typeName(schema)
	case "maxItems":
		f.message += fmt.Sprintf("must have at most %d entries", *schema.MaxItems)
	case "minItems":
		f.message += fmt.Sprintf("must have at least %d entry", schema.MinItems)
	case "minimum", "maximum":
		f.message += fmt.Sprintf("must be from %.0f to %.0f", *schema.Min, *schema.Max)
	default:
		if isBlank(err) {
			f.kind = missingField
		}
		f.message += explainText(err)
	}
	return f
}

// isPermission recognises the schema of an entry of a list of permissions.
func isPermission(schema *openapi3.Schema) bool {
	return slices.Contains(schema.Enum, any(string(serverapi.PermissionManagement)))
}

func explainPermission(name string, err *openapi3.SchemaError) fieldError {
	return fieldError{name, invalidPermissions, fmt.Sprintf("%s contain an invalid selection. Valid %s are: %s",
		label(name), name, joinAny(err.Schema.Enum))}
}

func joinAny(values []any) string {
	texts := make([]string, 0, len(values))
	for _, value := range values {
		texts = append(texts, fmt.Sprint(value))
	}
	return strings.Join(texts, ", ")
}

// isBlank recognises a text that is there and says nothing. The vendor treats it as missing.
func isBlank(err *openapi3.SchemaError) bool {
	text, ok := err.Value.(string)
	return ok && err.Schema.Format == "" && strings.TrimSpace(text) == ""
}

// secretPattern is that of the contract's schema for an API token.
const secretPattern = "^PT[0-9a-f]{48}$" //nolint:gosec // it is no secret

func explainText(err *openapi3.SchemaError) string {
	text, _ := err.Value.(string)
	switch {
	case err.Schema.Format == "uuid":
		return "must be a UUID"
	case err.Schema.Format == "date-time":
		return "must be a time such as 2026-11-23T09:30:00Z"
	case isBlank(err):
		return "must be present"
	case err.Schema.Pattern == secretPattern:
		return "must be " + secret.Form
	case err.SchemaField == "maxLength":
		return fmt.Sprintf("is too long (at most %d characters)", *err.Schema.MaxLength)
	case strings.ContainsRune(text, 0):
		return "must not contain the character NUL"
	}
	return "is invalid"
}

func typeName(schema *openapi3.Schema) string {
	switch {
	case schema.Type.Is(openapi3.TypeArray):
		return "a list"
	case schema.Type.Is(openapi3.TypeString):
		return "a single string"
	case schema.Type.Is(openapi3.TypeInteger):
		return "a whole number"
	case schema.Type.Is(openapi3.TypeObject):
		return "an object"
	}
	return "of another type"
}

// label turns the name of a property into the beginning of a sentence, as the vendor does.
func label(name string) string {
	words := strings.ReplaceAll(printable(name, maxAttribute), "_", " ")
	first, size := utf8.DecodeRuneInString(words)
	return string(unicode.ToUpper(first)) + words[size:]
}
