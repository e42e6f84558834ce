package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// Examination is a look at a database that changes nothing: it may be in use, old or damaged.
type Examination struct{ conn conn }

// Examine opens the database at path for reading. It refuses what Open refuses. The caller closes it.
func Examine(ctx context.Context, path string) (*Examination, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := mustBeOurs(ctx, path); err != nil {
		return nil, err
	}
	c, err := openToLook(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, explainFile(ctx, path, err))
	}
	c.SetInterrupt(ctx.Done())
	return &Examination{c}, nil
}

// Close closes the database.
func (e *Examination) Close() error { return e.conn.Close() }

// Schema returns the version of the database's schema, and the one that this program makes of it.
func (e *Examination) Schema(ctx context.Context) (int64, int64, error) {
	version, err := one(e.conn, int64At0, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`)
	if err != nil {
		return 0, 0, explain(ctx, err)
	}
	latest, err := latestVersion()
	return version, latest, err
}

// Integrity returns what SQLite finds wrong with the file, and rows that refer to others that are not there.
func (e *Examination) Integrity(ctx context.Context) ([]string, error) {
	problems, err := integrity(e.conn)
	return problems, explain(ctx, err)
}

func integrity(c conn) ([]string, error) {
	var problems []string
	err := c.each(`PRAGMA integrity_check(20)`, nil, func(r row) error {
		if text := r.text(0); text != "ok" {
			problems = append(problems, text)
		}
		return nil
	})
	if err != nil {
		return problems, err
	}
	err = c.each(`PRAGMA foreign_key_check`, nil, func(r row) error {
		problems = append(problems, "a row of "+r.text(0)+" refers to a row of "+r.text(2)+" that is not there")
		return nil
	})
	return problems, err
}

// invariant is what holds in every database, with a statement that counts where it does not.
type invariant struct{ broken, statement string }

func invariants() []invariant {
	return []invariant{
		{"tokens with the root of another project", `SELECT count(*) FROM tokens JOIN projects ON projects.id = project_id
			WHERE tokens.root_id IS NOT projects.root_id`},
		{"projects with a wrong root", `SELECT count(*) FROM projects WHERE root_id IS NOT coalesce(parent_id, id)`},
		{"subprojects of subprojects", `SELECT count(*) FROM projects JOIN projects AS parent ON parent.id = projects.parent_id
			WHERE parent.parent_id IS NOT NULL`},
		{"tokens whose creation is not in the audit trail", `SELECT count(*) FROM tokens
			WHERE NOT EXISTS (SELECT 1 FROM audit_events WHERE token_id = tokens.id AND action = 'token.created')
			AND created_at >= (SELECT unixepoch(tstamp) * 1000000 FROM goose_db_version WHERE version_id = 2)`}, // which has made the trail
		{"deleted tokens that are there", `SELECT count(*) FROM tokens
			WHERE EXISTS (SELECT 1 FROM audit_events WHERE token_id = tokens.id AND action = 'token.deleted')`},
		{"tokens of which the audit trail has no deletion, and which are not there", `SELECT count(DISTINCT token_id) FROM audit_events AS event
			WHERE token_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tokens WHERE id = event.token_id)
			AND NOT EXISTS (SELECT 1 FROM audit_events WHERE token_id = event.token_id AND action = 'token.deleted')`},
		{"projects of which the audit trail has events, and which are not there", `SELECT count(DISTINCT project_id) FROM audit_events AS event
			WHERE NOT EXISTS (SELECT 1 FROM projects WHERE id = event.project_id)`}, // none is ever deleted
		{"tokens with a time that no calendar has", `SELECT count(*) FROM tokens WHERE NOT (created_at ` + inCalendar + `
			AND updated_at ` + inCalendar + ` AND coalesce(expires_at, 0) ` + inCalendar + ` AND coalesce(last_used_at, 0) ` + inCalendar + `)`},
		{"events with a time that no calendar has", `SELECT count(*) FROM audit_events WHERE NOT at ` + inCalendar},
	}
}

// inCalendar is from the year 1 to the year 9999, which is what RFC 3339 can say.
const inCalendar = "BETWEEN -62135596800000000 AND 253402300799999999"

// Invariants returns what the rows of a database say about each other that cannot be. The schema must be the current one.
func (e *Examination) Invariants(ctx context.Context) ([]string, error) {
	var problems []string
	for _, i := range invariants() {
		count, err := one(e.conn, int64At0, i.statement)
		if err != nil {
			return problems, explain(ctx, err)
		}
		if count != 0 {
			problems = append(problems, fmt.Sprintf("%d %s", count, i.broken))
		}
	}
	unreadable, err := e.unreadable()
	return append(problems, unreadable...), explain(ctx, err)
}

// unreadable finds events that scanEvent refuses: no page that has one of them can be answered.
func (e *Examination) unreadable() ([]string, error) {
	var count int
	var first error
	err := e.conn.each(`SELECT `+columnsOfEvent+` FROM audit_events`, nil, func(r row) error {
		if _, err := scanEvent(r); err != nil {
			count, first = count+1, cmp.Or(first, err)
		}
		return nil
	})
	if err != nil || count == 0 {
		return nil, err
	}
	return []string{fmt.Sprintf("%d events that cannot be read (%v)", count, first)}, nil
}

// EachProject calls read with each project.
func (e *Examination) EachProject(ctx context.Context, read func(store.Project)) error {
	return each(ctx, e.conn, scanProject, `SELECT `+columnsOfProject+` FROM projects`, read)
}

// EachToken calls read with each token.
func (e *Examination) EachToken(ctx context.Context, read func(store.Token)) error {
	return each(ctx, e.conn, scanToken, `SELECT `+columnsOfToken+` FROM tokens`, read)
}

func each[T any](ctx context.Context, c conn, scan func(row) (T, error), text string, read func(T)) error {
	return explain(ctx, c.each(text, nil, func(r row) error {
		found, err := scan(r)
		if err == nil {
			read(found)
		}
		return err
	}))
}

// Counts counts the rows.
func (e *Examination) Counts(ctx context.Context) (store.Counts, error) {
	counts, err := one(e.conn, func(r row) (store.Counts, error) {
		return store.Counts{Projects: r.stmt.ColumnInt64(0), Tokens: r.stmt.ColumnInt64(1), Events: r.stmt.ColumnInt64(2)}, nil
	}, `SELECT (SELECT count(*) FROM projects), (SELECT count(*) FROM tokens), (SELECT count(*) FROM audit_events)`)
	return counts, explain(ctx, err)
}

// KeysetCheck returns the value with which the keyset is told from others, or nil.
func (e *Examination) KeysetCheck(ctx context.Context) ([]byte, error) {
	value, err := e.conn.keysetCheck()
	return value, explain(ctx, err)
}

// CountSealed counts the sealed values. The schema must be the current one, as for those below.
func (e *Examination) CountSealed(ctx context.Context) (int, int, error) {
	secrets, answers, err := e.conn.countSealed()
	return secrets, answers, explain(ctx, err)
}

// SealedSecrets returns a part of the sealed secrets, as a store does.
func (e *Examination) SealedSecrets(ctx context.Context, after uuid.UUID, limit int) ([]store.SealedSecret, error) {
	found, err := e.conn.sealedSecrets(after, limit)
	return found, explain(ctx, err)
}

// SealedAnswers returns a part of the sealed answers, as a store does.
func (e *Examination) SealedAnswers(ctx context.Context, after store.AnswerPlace, limit int) ([]store.SealedAnswer, error) {
	found, err := e.conn.sealedAnswers(after, limit)
	return found, explain(ctx, err)
}

func int64At0(r row) (int64, error) { return r.stmt.ColumnInt64(0), nil }
