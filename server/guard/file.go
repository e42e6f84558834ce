package guard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	yaml "github.com/oasdiff/yaml3"

	"github.com/tokenwire/tokenwire/gen/serverapi"
)

// none stands for no permission: any good credential will do.
const none = "none"

// file is what a file of rules has.
type file struct {
	Rules []fileRule `yaml:"rules"`
	// SignalWire appends the rules for SignalWire's own surfaces.
	SignalWire bool `yaml:"signalwire_rules"`
}

type fileRule struct {
	Path       string   `yaml:"path"`
	Methods    []string `yaml:"methods"`
	Permission string   `yaml:"permission"`
	AnyOf      []string `yaml:"any_of"`
}

// Parse reads a file of rules, in YAML. The error says which rule is wrong, and how.
func Parse(content []byte) (*Rules, error) {
	f, err := read(content)
	if err != nil {
		return nil, err
	}
	rules, err := f.parse()
	if err != nil {
		return nil, err
	}
	if f.SignalWire {
		own, err := SignalWire()
		if err != nil {
			return nil, err
		}
		rules.rules = slices.Concat(rules.rules, own.rules)
	}
	if len(rules.rules) == 0 {
		return nil, errors.New("there is no rule in it: everything would be refused")
	}
	return rules, nil
}

func read(content []byte) (file, error) {
	var f file
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return file{}, errors.New("not a file of rules: " + strings.Join(strings.Fields(err.Error()), " "))
	}
	return f, nil
}

func (f file) parse() (*Rules, error) {
	rules := &Rules{}
	for i, r := range f.Rules {
		parsed, err := r.parse()
		if err != nil {
			return nil, fmt.Errorf("rule %d, %q: %w", i+1, r.Path, err)
		}
		rules.rules = append(rules.rules, parsed)
	}
	return rules, rules.checkOrder(f.Rules)
}

func (r fileRule) parse() (rule, error) {
	pattern, err := parsePattern(r.Path)
	if err != nil {
		return rule{}, err
	}
	for _, method := range r.Methods {
		if !isMethod(method) {
			return rule{}, fmt.Errorf("the method %q must be in capitals, such as GET", method)
		}
	}
	if slices.Contains(r.Methods, "HEAD") {
		return rule{}, errors.New("HEAD goes with GET: leave it out")
	}
	anyOf, err := r.permissions()
	return rule{pattern: pattern, methods: r.Methods, anyOf: anyOf}, err
}

func (r fileRule) permissions() ([]string, error) {
	anyOf := r.AnyOf
	switch {
	case (r.Permission == "") == (len(r.AnyOf) == 0):
		return nil, errors.New("it needs either permission or any_of")
	case r.Permission == none:
		return nil, nil
	case r.Permission != "":
		anyOf = []string{r.Permission}
	}
	for _, permission := range anyOf {
		if !serverapi.Permission(permission).Valid() {
			return nil, fmt.Errorf("%q is no permission; for none at all, write permission: none", permission)
		}
	}
	return anyOf, nil
}

// checkOrder refuses a rule that is never reached: it was meant to say something.
func (r *Rules) checkOrder(from []fileRule) error {
	for later := range r.rules {
		for earlier := range later {
			a, b := &r.rules[earlier], &r.rules[later]
			if a.pattern.covers(b.pattern) && a.takesAll(b.methods) {
				return fmt.Errorf("rule %d, %q, is never reached: rule %d, %q, comes first and matches the same; put the more particular one first",
					later+1, from[later].Path, earlier+1, from[earlier].Path)
			}
		}
	}
	return nil
}

func (r *rule) takesAll(methods []string) bool {
	if len(r.methods) == 0 {
		return true
	}
	return len(methods) > 0 && !slices.ContainsFunc(methods, func(method string) bool { return !r.takes(method) })
}
