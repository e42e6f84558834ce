package guard

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	yaml "github.com/oasdiff/yaml3"
)

// inPlainWords says what the YAML package has found without its words for it, which are those of a programmer.
func inPlainWords(err error) string {
	wrong, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: ")
	}
	const most = 3 // mistakes: a file of another kind has one in each line, and would be printed as a whole
	texts := make([]string, 0, most)
	for _, text := range wrong.Errors[:min(len(wrong.Errors), most)] {
		texts = append(texts, plain(strings.Join(strings.Fields(text), " ")))
	}
	if more := len(wrong.Errors) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

func plain(text string) string {
	if found := regexp.MustCompile(`^(line \d+): field (.*) not found in type guard\.(\w+)$`).FindStringSubmatch(text); found != nil {
		if found[3] == "fileRule" {
			return fmt.Sprintf("%s: %q is nothing that a rule has, which is: %s", found[1], found[2], fields(fileRule{}))
		}
		return fmt.Sprintf("%s: %q is nothing that the file has, which is: %s", found[1], found[2], fields(file{}))
	}
	if found := regexp.MustCompile("^(line \\d+): cannot unmarshal !!(\\w+)(?: `.*`)? into (.*)$").FindStringSubmatch(text); found != nil {
		return fmt.Sprintf("%s: there is %s where there must be %s", found[1], kind(found[2]), expected(found[3]))
	}
	return text
}

// fields names what a part of the file can have.
func fields(part any) string {
	var names []string
	for field := range reflect.TypeOf(part).Fields() {
		names = append(names, field.Tag.Get("yaml"))
	}
	return strings.Join(names, ", ")
}

func kind(tag string) string {
	switch tag {
	case "seq":
		return "a list"
	case "map":
		return "an object"
	case "bool":
		return "true or false"
	case "int", "float":
		return "a number"
	}
	return "a text"
}

func expected(goType string) string {
	switch goType {
	case "guard.file":
		return "an object with a list named rules"
	case "[]guard.fileRule":
		return "a list of rules"
	case "guard.fileRule":
		return "a rule, such as {path: /reports, permission: messaging}"
	case "[]string":
		return "a list, such as [calling, fax]"
	case "bool":
		return "true or false"
	}
	return "a text"
}
