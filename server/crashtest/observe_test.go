package crashtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenwire/tokenwire/client"
)

// observation is what a server shows of a world.
type observation struct {
	// full says that it has everything; otherwise deletions that were checked before are left out but for a sample, and so are
	// events that were compared.
	full   bool
	listed map[string]client.TokenSummary // all tokens, by id
	looks  map[string]look                // by id
	events map[string][]event             // by the id of the token, oldest first
	newest string                         // the id of the newest event
	// problems are what is wrong whatever the world is like.
	problems []string
}

// look is what the server says about one token.
type look struct {
	found  bool
	shown  client.TokenSummary
	secret string         // as an update without any change returns it
	uses   map[string]use // by secret
}

// use is an attempt to authenticate.
type use struct {
	result       string
	began, ended time.Time
}

// What comes of an attempt.
const (
	manages = "authenticates with the permission management"
	works   = "authenticates without the permission management"
	refused = "is refused"
)

// sample is how many of the deletions that were checked before are looked at again.
const sample = 10

// observe asks a server that has just started.
func observe(t *testing.T, c *child, w *world, full bool) observation {
	t.Helper()
	seen := observation{full: full, listed: make(map[string]client.TokenSummary), looks: make(map[string]look), events: make(map[string][]event)}
	admin := c.as(t, adminSecret)
	must(t, seen.list(t.Context(), admin))
	must(t, seen.readEvents(t.Context(), admin, w.newest))
	known := w.ids()
	for _, token := range known {
		if full || !token.checked {
			seen.lookAt(t, c, token)
		}
	}
	for _, worker := range w.workers {
		for range min(sample, len(worker.gone)) {
			seen.lookAt(t, c, worker.gone[worker.random.IntN(len(worker.gone))])
		}
	}
	for id := range seen.listed {
		if known[id] == nil {
			seen.lookAt(t, c, &token{id: id}) // of a creation in flight
		}
	}
	return seen
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (o *observation) list(ctx context.Context, admin *client.Client) error {
	for token, err := range admin.ListTokens(ctx, client.ListTokensParams{PageSize: 1000}) {
		if err != nil {
			return err
		}
		if token.Name != "Management" { // the one that asks
			o.listed[token.ID] = *token
		}
	}
	return nil
}

// readEvents reads the audit trail back to the event that was compared last, or all of it.
func (o *observation) readEvents(ctx context.Context, admin *client.Client, compared string) error {
	var later client.AuditEvent
	projects, reached := 0, false
	for e, err := range admin.ListAuditEvents(ctx, client.ListAuditEventsParams{PageSize: 1000}) {
		if err != nil {
			return err
		}
		if o.newest == "" {
			o.newest = e.ID
		}
		if later.ID != "" && (e.ID >= later.ID || e.Time.After(later.Time)) {
			o.problems = append(o.problems, fmt.Sprintf("audit trail: event %s of %v stands before %s of %v", e.ID, e.Time, later.ID, later.Time))
		}
		later = *e
		if reached = reached || e.ID == compared; reached && !o.full {
			break
		}
		if e.Actor.TokenID == "" {
			projects++
			continue
		}
		o.events[e.TokenID] = append(o.events[e.TokenID], event{e.Action, e.Changes})
	}
	if compared != "" && !reached {
		o.problems = append(o.problems, "audit trail: an event that was there is gone")
	}
	if o.full && projects != 2 {
		o.problems = append(o.problems, fmt.Sprintf("audit trail: the first start has left %d events, want one for the project and one for its token", projects))
	}
	for _, events := range o.events {
		slices.Reverse(events)
	}
	return nil
}

// lookAt reads one token, and tries each secret that it has had.
func (o *observation) lookAt(t *testing.T, c *child, known *token) {
	t.Helper()
	admin := c.as(t, adminSecret)
	l := look{uses: make(map[string]use)}
	shown, err := admin.GetToken(t.Context(), known.id)
	if err == nil {
		l.found, l.shown = true, *shown
		answer, err := admin.UpdateToken(t.Context(), known.id, client.UpdateTokenParams{})
		must(t, err)
		l.secret = answer.Secret.Reveal()
	} else if !errors.Is(err, client.ErrNotFound) {
		t.Fatal(err)
	}
	secrets := []string{known.secret, l.secret}
	for _, old := range known.retired {
		secrets = append(secrets, old.secret)
	}
	for _, secret := range secrets {
		if _, tried := l.uses[secret]; secret != "" && !tried {
			l.uses[secret] = try(t, c, known.id, secret)
		}
	}
	o.looks[known.id] = l
}

// try lets a token read itself, or another one.
func try(t *testing.T, c *child, id, secret string) use {
	t.Helper()
	u, err := c.try(t.Context(), c.as(t, secret), id)
	must(t, err)
	return u
}

// try lets a token read itself, or another one. The error is any answer that says nothing about the secret.
func (c *child) try(ctx context.Context, as *client.Client, id string) (use, error) {
	u := use{began: time.Now()}
	_, err := as.GetToken(ctx, id)
	u.ended = time.Now()
	answer, _ := errors.AsType[*client.Error](err)
	switch {
	case err == nil:
		u.result = manages
	case errors.Is(err, client.ErrUnauthorized) && strings.Contains(answer.Message, "lacks the permission"):
		u.result = works
	case errors.Is(err, client.ErrUnauthorized):
		u.result = refused
	default:
		return u, err
	}
	return u, nil
}
