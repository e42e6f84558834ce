// Package guard says which permission of a token a request to another service needs: by rules over its path and method.
//
//	rules, err := guard.Parse(file)
//	need, err := rules.Find("POST", "/api/laml/2010-04-01/Accounts/…/Messages")
//
// The first rule that matches decides, and what no rule matches is refused. A path is read as the client has sent it, and whatever
// could mean one thing here and another to the service behind is refused too.
package guard

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Why a request is refused.
var (
	ErrNoRule = errors.New("no rule is about this method and path")
	// ErrAmbiguous is for a method or a path that the service behind might read in another way than the rules.
	ErrAmbiguous = errors.New("the method or the path can be read in more than one way")
)

// Need is what a request needs to be let through.
type Need struct {
	// AnyOf is the permissions of which the token must hold one. With none, any good credential will do.
	AnyOf []string
	// Account is what stands in the path for {AccountSid}, or "".
	Account string
}

// Rules say what requests need. They never change.
type Rules struct{ rules []rule }

type rule struct {
	pattern pattern
	methods []string // none: all
	anyOf   []string
}

//go:embed signalwire.yaml
var signalwire []byte //nolint:gochecknoglobals // go:embed needs one

// SignalWire returns the rules for SignalWire's own surfaces, which are in signalwire.yaml.
func SignalWire() (*Rules, error) {
	own, err := read(signalwire)
	if err != nil {
		return nil, fmt.Errorf("signalwire.yaml: %w", err)
	}
	return own.parse()
}

// Find returns what a request needs that was sent with this method and this URI: a path, and what follows it.
func (r *Rules) Find(method, uri string) (Need, error) {
	if !isMethod(method) {
		return Need{}, ErrAmbiguous
	}
	path, err := plainPath(uri)
	if err != nil {
		return Need{}, err
	}
	i, how, account := r.decide(method, path)
	switch how {
	case differs:
		return Need{}, ErrNoRule
	case almost:
		return Need{}, ErrAmbiguous
	case matches:
	}
	return Need{AnyOf: r.rules[i].anyOf, Account: account}, nil
}

// decide returns the first rule that is about a plain path, or nearly so, and what stands for {AccountSid}.
func (r *Rules) decide(method, path string) (int, match, string) {
	for i := range r.rules {
		rule := &r.rules[i]
		if !rule.takes(method) {
			continue
		}
		if how, account := rule.pattern.match(path); how != differs {
			return i, how, account
		}
	}
	return 0, differs, ""
}

// takes reports whether the rule is about a method. HEAD is GET without the body.
func (r *rule) takes(method string) bool {
	if method == "HEAD" {
		method = "GET"
	}
	return len(r.methods) == 0 || slices.Contains(r.methods, method)
}

// isMethod accepts what is a method in capitals: a service may take "get" for GET, and the rules would not.
func isMethod(method string) bool {
	return method != "" && len(method) <= 20 && strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
}
