package crashtest_test

import "github.com/tokenwire/tokenwire/client"

// slip is one thing that can be wrong after a crash.
type slip struct {
	what string
	// files changes the database behind the server's back, model what must be there.
	files []string
	model func(*scene)
	want  string // what is found; "" when nothing is wrong
}

// slips are the mistakes of a server, or of a check, which the checks have to tell from what is fine. In the statements, :plain,
// :turned and :fresh are the ids of tokens; scene.execute has the rest.
func slips() []slip {
	const (
		final  = `DROP TRIGGER audit_events_are_final`
		stay   = `DROP TRIGGER audit_events_stay`
		half   = `UPDATE tokens SET name = 'after' WHERE id = :plain`
		update = `UPDATE tokens SET name = 'after', permissions = 'video' WHERE id = :plain`
		trail  = `INSERT INTO audit_events SELECT :new_id, (SELECT max(at) FROM audit_events), 'token.updated', root_id, project_id, token_id,
			actor_project_id, actor_token_id, address, request_id, :in_flight FROM audit_events WHERE token_id = :plain LIMIT 1`
	)
	updating := func(s *scene) { s.worker.pending = s.update() }
	creating := func(s *scene) { s.worker.pending = s.creation(); s.forget(s.fresh) }
	return []slip{
		{"nothing is wrong", nil, nil, ""},
		{"a creation is lost", []string{`DELETE FROM tokens WHERE id = :plain`}, nil, "it is not there"},
		{"a name is lost", []string{`UPDATE tokens SET name = 'before' WHERE id = :plain`}, nil, "its name is"},
		{"permissions are lost", []string{`UPDATE tokens SET permissions = '' WHERE id = :plain`}, nil, "its permissions are"},
		{"an expiry is lost", []string{`UPDATE tokens SET expires_at = NULL WHERE id = :plain`}, nil, "it expires at"},
		{"a deletion is lost", nil, func(s *scene) { s.plain.deleted = true }, "it was deleted and is there"},
		{"a deleted secret works", nil, func(s *scene) { s.plain.deleted = true }, "want: is refused"},
		{"a rotation is lost", nil, func(s *scene) { s.plain.secret = s.fresh.secret }, "its secret is another one"},
		{"a retired secret is back", []string{`INSERT INTO retired_secrets VALUES (:over, :turned, 1 << 60)`}, nil, "although its time is over"},
		{"a grace is lost", []string{`DELETE FROM retired_secrets`}, nil, "within its grace"},
		{"a token is there that nobody has made", nil, func(s *scene) { s.forget(s.plain) }, "nobody has asked for"},

		{"an event is missing", []string{stay, `DELETE FROM audit_events WHERE token_id = :plain AND action = 'token.updated'`}, nil, "the audit trail differs"},
		{"an event is there twice", []string{trail}, nil, "the audit trail differs"},
		{"an event has other values", []string{final, `UPDATE audit_events SET changes = '{}' WHERE token_id = :plain`}, nil, "the audit trail differs"},
		{"the trail goes back in time", []string{final, `UPDATE audit_events SET at = 1 WHERE id = (SELECT max(id) FROM audit_events)`}, nil, "stands before"},
		{"the trail was cut", []string{stay, `DELETE FROM audit_events WHERE id = (SELECT max(id) FROM audit_events)`}, nil, "an event that was there is gone"},
		{"the first start has left no event", []string{stay, `DELETE FROM audit_events WHERE actor_token_id IS NULL`}, nil, "the first start has left 0 events"},

		{"an update in flight did not happen", nil, updating, ""},
		{"an update in flight has happened", []string{update, trail}, updating, ""},
		{"half an update in flight has happened", []string{half, trail}, updating, "has happened in part"},
		{"an update in flight has left no event", []string{update}, updating, "has happened in part"},
		{"an update in flight has left its event alone", []string{trail}, updating, "has happened in part"},
		{"an update in flight has happened twice", []string{update, trail, trail}, updating, "has happened in part"},
		{"a creation in flight has happened", nil, creating, ""},
		{"a creation in flight did not happen", nil, func(s *scene) { s.worker.pending = s.creation(); s.worker.pending.after.name = "never" }, ""},
		{"a creation in flight has left no event", []string{stay, `DELETE FROM audit_events WHERE token_id = :fresh`}, creating, "the audit trail differs"},
		{"a creation in flight has left its event alone", []string{`DELETE FROM tokens WHERE id = :fresh`}, creating, "nobody has asked for"},
		{"a creation in flight has happened twice", []string{`UPDATE tokens SET name = 'fresh' WHERE id = :plain`},
			func(s *scene) { creating(s); s.forget(s.plain) }, "has happened 2 times"},
	}
}

// update is one of two fields. What the audit trail has about it is :in_flight.
func (s *scene) update() *change {
	after := s.plain.state
	after.name, after.permissions = "after", []client.Permission{client.PermissionVideo}
	return &change{action: updated, token: s.plain, after: after}
}

// creation is how the token fresh was made.
func (s *scene) creation() *change {
	return &change{action: created, after: state{name: "fresh", permissions: []client.Permission{client.PermissionFax}}}
}
