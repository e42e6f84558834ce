package fuzztest_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/tokenwire/tokenwire/server/servertest"
)

// token is an API token as the latest answer shows it.
type token struct {
	id, project, secret string
	permissions         []string
}

func (t *token) manages() bool { return slices.Contains(t.permissions, "management") }

// link is a page of a list, for callers of the project that it was given to.
type link struct {
	op      *operation
	project string
	uri     string
}

// repeat is a creation that may be sent again, with what was answered.
type repeat struct {
	draft  *draft
	status int
	body   string
}

// pool is what earlier answers of a sequence have given: what there is, and what was once.
type pool struct {
	root      *token   // the project's first token: it stays as it is
	stranger  string   // a project that is not the caller's
	projects  []string // the project itself, and its subprojects
	tokens    []*token
	dead      []*token // deleted
	stale     []*token // with a secret that was replaced
	links     []link
	repeats   []repeat
	worlds    []string            // projects of the sandbox besides
	snapshots map[string][]string // of each of these
	lost      []string            // worlds that were deleted
	keys      int                 // how many idempotency keys were drawn
}

func newPool(own servertest.Project, stranger string) *pool {
	return &pool{
		root:     &token{own.TokenID, own.ProjectID, own.Token, []string{"management"}},
		stranger: stranger, projects: []string{own.ProjectID}, snapshots: make(map[string][]string),
	}
}

// main is the project at the top.
func (p *pool) main() string { return p.root.project }

// filter returns the tokens that a condition holds for.
func (p *pool) filter(condition func(*token) bool) []*token {
	return slices.DeleteFunc(slices.Clone(p.tokens), func(t *token) bool { return !condition(t) })
}

// below returns the tokens that can be reached by way of an account.
func (p *pool) below(account string) []*token {
	return p.filter(func(t *token) bool { return account == p.main() || t.project == account })
}

// remember adds to a list that forgets what is old.
func remember[T any](list []T, item T) []T {
	if len(list) >= 50 {
		list = list[1:]
	}
	return append(list, item)
}

// absorb takes from an answer what later requests can use.
func (p *pool) absorb(d *draft, status int, body string) {
	if status >= http.StatusMultipleChoices || d.method != d.op.method || d.repeated != nil {
		return
	}
	switch d.op.id {
	case "create_token", "create_project_token":
		p.tokens = append(p.tokens, tokenIn(body, d.owner))
	case "update_token", "update_project_token":
		*d.token = *tokenIn(body, d.token.project)
	case "rotate_token":
		if old := *d.token; d.broken == 0 && !d.grace() {
			p.stale = remember(p.stale, &old)
		}
		*d.token = *tokenIn(body, d.token.project)
	case "delete_token", "delete_project_token":
		p.tokens = slices.DeleteFunc(p.tokens, func(t *token) bool { return t == d.token })
		p.dead = remember(p.dead, d.token)
	case "create_subprojects":
		p.projects = append(p.projects, decoded[struct{ Sid string }](body).Sid)
	case "list_accounts", "list_tokens", "list_audit_events":
		p.absorbLinks(d, body)
	default:
		p.absorbWorld(d, body)
	}
	if d.key != "" && d.broken == 0 && d.caller == p.root && strings.HasPrefix(d.op.id, "create_") {
		p.repeats = remember(p.repeats, repeat{d, status, body})
	}
}

func (p *pool) absorbWorld(d *draft, body string) {
	switch d.op.id {
	case "create_sandbox_project":
		p.worlds = append(p.worlds, decoded[struct {
			ProjectID string `json:"project_id"`
		}](body).ProjectID)
	case "create_sandbox_snapshot":
		p.snapshots[d.world] = remember(p.snapshots[d.world], decoded[struct{ ID string }](body).ID)
	case "delete_sandbox_project":
		p.worlds = slices.DeleteFunc(p.worlds, func(id string) bool { return id == d.world })
		p.lost = remember(p.lost, d.world)
	}
}

func (p *pool) absorbLinks(d *draft, body string) {
	links := decoded[struct {
		URI      string `json:"uri"`
		First    string `json:"first_page_uri"`
		Next     string `json:"next_page_uri"`
		Previous string `json:"previous_page_uri"`
	}](body)
	for _, uri := range []string{links.URI, links.First, links.Next, links.Previous} {
		if uri != "" && d.caller != nil {
			p.links = remember(p.links, link{d.op, d.caller.project, uri})
		}
	}
}

func tokenIn(body, project string) *token {
	got := decoded[struct {
		ID, Token   string
		Permissions []string
	}](body)
	return &token{got.ID, project, got.Token, got.Permissions}
}

// decoded reads what the contract has said to be there.
func decoded[T any](body string) T {
	var value T
	_ = json.Unmarshal([]byte(body), &value) // an answer out of the contract has failed the test already
	return value
}
