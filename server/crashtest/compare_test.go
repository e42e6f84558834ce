package crashtest_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tokenwire/tokenwire/client"
)

// outcome is what became of a change whose answer did not come.
type outcome struct {
	worker *worker
	// after is the token as the change has left it, or nil when it did not happen.
	after *token
}

// compare holds what was seen against what must be there, without touching either. It returns what became of the changes in
// flight, and what is wrong.
func compare(w *world, seen observation) ([]outcome, []string) {
	var outcomes []outcome
	problems := slices.Clone(seen.problems)
	explained := make(map[string]bool)
	w.all(func(worker *worker, t *token) bool {
		explained[t.id] = true
		if worker.pending == nil || worker.pending.token != t {
			problems = append(problems, seen.differences(t)...)
			return true
		}
		after, wrong := seen.resolve(worker.pending, t)
		outcomes, problems = append(outcomes, outcome{worker, after}), append(problems, wrong...)
		return true
	})
	for _, worker := range w.workers {
		if worker.pending != nil && worker.pending.token == nil {
			after, wrong := seen.resolveCreation(worker.pending)
			outcomes, problems = append(outcomes, outcome{worker, after}), append(problems, wrong...)
			if after != nil {
				explained[after.id] = true
			}
		}
	}
	for id := range seen.listed {
		if !explained[id] {
			problems = append(problems, fmt.Sprintf("token %s is one that nobody has asked for", id))
		}
	}
	for id := range seen.events {
		if !explained[id] {
			problems = append(problems, fmt.Sprintf("audit trail: there are events of %s, a token that nobody has asked for", id))
		}
	}
	return outcomes, problems
}

// resolve tells from what is there whether a change has happened: all of it or nothing, its event included.
func (o observation) resolve(c *change, before *token) (*token, []string) {
	without := o.differences(before)
	if len(without) == 0 {
		return nil, nil
	}
	after := c.made("", o.looks[before.id].secret)
	with := o.differences(after)
	if len(with) == 0 {
		return after, nil
	}
	return nil, []string{fmt.Sprintf("token %s: a change in flight, %s, has happened in part.\n  It did not happen:\n%s\n  It did:\n%s",
		before.id, c.action, indent(without), indent(with))}
}

func indent(lines []string) string { return "    " + strings.Join(lines, "\n    ") }

// resolveCreation finds the token by its name, which nobody else has given.
func (o observation) resolveCreation(c *change) (*token, []string) {
	var ids []string
	for id, shown := range o.listed {
		if shown.Name == c.after.name {
			ids = append(ids, id)
		}
	}
	switch len(ids) {
	case 0:
		return nil, nil // events without a token are found as nobody's
	case 1:
		after := c.made(ids[0], o.looks[ids[0]].secret)
		return after, o.differences(after)
	}
	return nil, []string{fmt.Sprintf("a creation in flight has happened %d times", len(ids))}
}

// differences returns what is not as it must be with one token.
func (o observation) differences(t *token) []string {
	var found []string
	wrong := func(format string, args ...any) {
		found = append(found, fmt.Sprintf("token %s: ", t.id)+fmt.Sprintf(format, args...))
	}
	if l, looked := o.looks[t.id]; looked {
		_, listed := o.listed[t.id]
		switch {
		case t.deleted && (l.found || listed):
			wrong("it was deleted and is there")
		case !t.deleted && (!l.found || !listed):
			wrong("it is not there")
		case !t.deleted:
			o.compareState(t, l, wrong)
		}
		compareUses(t, l, wrong)
	}
	events := t.events
	if !o.full {
		events = events[t.compared:]
	}
	if difference := cmp.Diff(events, o.events[t.id], cmpopts.EquateEmpty()); difference != "" {
		wrong("the audit trail differs (-want +got):\n%s", difference)
	}
	return found
}

func (o observation) compareState(t *token, l look, wrong func(string, ...any)) {
	if difference := cmp.Diff(l.shown, o.listed[t.id], cmpopts.IgnoreFields(client.TokenSummary{}, "LastUsedAt")); difference != "" {
		wrong("the list differs from the token itself:\n%s", difference)
	}
	if l.shown.Name != t.name {
		wrong("its name is %q, want %q", l.shown.Name, t.name)
	}
	if !slices.Equal(l.shown.Permissions, t.permissions) {
		wrong("its permissions are %v, want %v", l.shown.Permissions, t.permissions)
	}
	if !l.shown.ExpiresAt.Equal(t.expiresAt) {
		wrong("it expires at %v, want %v", l.shown.ExpiresAt, t.expiresAt)
	}
	if l.secret != t.secret {
		wrong("its secret is another one")
	}
}

// compareUses wants the secret to work as the permissions say, and an earlier one as long as it has to and no longer.
func compareUses(t *token, l look, wrong func(string, ...any)) {
	working := works
	if slices.Contains(t.permissions, client.PermissionManagement) {
		working = manages
	}
	if t.deleted {
		working = refused
	}
	if u, tried := l.uses[t.secret]; tried && u.result != working {
		wrong("its secret %s; want: %s", u.result, working)
	}
	for _, old := range t.retired {
		u := l.uses[old.secret]
		if !t.deleted && u.ended.Before(old.from) && u.result != working {
			wrong("an earlier secret %s within its grace; want: %s", u.result, working)
		}
		if (t.deleted || u.began.After(old.until)) && u.result != refused {
			wrong("an earlier secret %s although its time is over", u.result)
		}
	}
}

// settle makes what was seen, and compared without a problem, the state from which the workers go on. It returns how many changes
// in flight have happened, and how many have not.
func (w *world) settle(seen observation, outcomes []outcome) (int, int) {
	happened := 0
	for _, o := range outcomes {
		if o.after != nil {
			o.worker.accept(o.worker.pending, o.after)
			happened++
		}
	}
	w.newest = seen.newest
	w.all(func(_ *worker, t *token) bool {
		t.compared, t.checked = len(t.events), t.deleted
		return true
	})
	return happened, len(outcomes) - happened
}
