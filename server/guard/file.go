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
	Path       string    `yaml:"path"`
	Methods    yaml.Node `yaml:"methods"` // else an empty list would look like none
	Permission string    `yaml:"permission"`
	AnyOf      []string  `yaml:"any_of"`
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
		return file{}, errors.New("not a file of rules: " + inPlainWords(err))
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return file{}, errors.New("only one document can be in it: what stands behind the next --- would be ignored")
	}
	return f, nil
}

// maxRules bounds the rules of a file: each request asks them one after the other.
const maxRules = 1000

func (f file) parse() (*Rules, error) {
	if len(f.Rules) > maxRules {
		return nil, fmt.Errorf("there are %d rules in it: %d are the most; {AccountSid}, {any} and ** stand for many paths", len(f.Rules), maxRules)
	}
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
	methods, err := r.methods()
	if err != nil {
		return rule{}, err
	}
	anyOf, err := r.permissions()
	return rule{pattern: pattern, methods: methods, anyOf: anyOf}, err
}

// methods returns none when the rule is about all of them.
func (r fileRule) methods() ([]string, error) {
	if r.Methods.IsZero() {
		return nil, nil
	}
	var methods []string
	if r.Methods.Decode(&methods) != nil {
		return nil, errors.New("methods must be a list, such as [GET, POST]")
	}
	if len(methods) == 0 {
		return nil, errors.New("methods is empty: name some, or leave it out for all")
	}
	for _, method := range methods {
		if !isMethod(method) {
			return nil, fmt.Errorf("the method %q must be in capitals, such as GET", method)
		}
	}
	if slices.Contains(methods, "HEAD") {
		return nil, errors.New("HEAD goes with GET: leave it out")
	}
	return methods, nil
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
			return nil, fmt.Errorf("%q is no permission; these are: %s; for none at all, write permission: none",
				permission, strings.Join(permissions(), ", "))
		}
	}
	return anyOf, nil
}

// permissions are those of the contract.
func permissions() []string {
	return []string{
		string(serverapi.PermissionCalling), string(serverapi.PermissionChat), string(serverapi.PermissionDatasphere), string(serverapi.PermissionFax),
		string(serverapi.PermissionManagement), string(serverapi.PermissionMessaging), string(serverapi.PermissionNumbers),
		string(serverapi.PermissionPubsub), string(serverapi.PermissionStorage), string(serverapi.PermissionTasking), string(serverapi.PermissionVideo),
	}
}
