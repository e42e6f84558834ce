package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tokenwire/tokenwire/server/store"
)

// Examination is a look at a database that changes nothing: it may be in use, or old.
type Examination struct{ conn *pgx.Conn }

// Examine connects to the database that dsn names. The caller closes it.
func Examine(ctx context.Context, dsn string) (*Examination, error) {
	config, err := parse("--db", dsn)
	if err != nil {
		return nil, err
	}
	params := config.ConnConfig.RuntimeParams
	params["default_transaction_read_only"], params["statement_timeout"] = "on", "0"
	c, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, unusable(ctx, Name(dsn), config.ConnConfig, err)
	}
	var ours bool
	if err = c.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, versionTable).Scan(&ours); err == nil && !ours {
		err = refusal("it is empty, or another program's; name one that tokenwire has served")
	}
	if err == nil {
		err = refuseUnfinished(ctx, c)
	}
	if err != nil {
		return nil, errors.Join(unusable(ctx, Name(dsn), config.ConnConfig, err), c.Close(ctx))
	}
	return &Examination{c}, nil
}

// Close closes the connection.
func (e *Examination) Close() error { return e.conn.Close(context.Background()) }

func (e *Examination) one(ctx context.Context, text string, into ...any) error {
	return explain(ctx, e.conn.QueryRow(ctx, text).Scan(into...))
}

// Schema returns the version of the database's schema, and the one that this program makes of it.
func (e *Examination) Schema(ctx context.Context) (int64, int64, error) {
	var version int64
	if err := e.one(ctx, `SELECT coalesce(max(version_id), 0) FROM `+versionTable+` WHERE is_applied`, &version); err != nil {
		return 0, 0, err
	}
	latest, err := latestVersion()
	return version, latest, err
}

// Integrity returns the settings with which the server may lose what it has acknowledged.
func (e *Examination) Integrity(ctx context.Context) ([]string, error) {
	var problems []string
	for _, setting := range []string{"fsync", "full_page_writes"} {
		var on bool
		if err := e.one(ctx, `SELECT current_setting('`+setting+`')::bool`, &on); err != nil {
			return problems, err
		}
		if !on {
			problems = append(problems, "the server has "+setting+" off: a crash of its machine loses or damages what was acknowledged")
		}
	}
	return problems, nil
}

// invariant is what holds in every database, with a statement that counts where it does not.
type invariant struct{ broken, statement string }

func invariants() []invariant {
	return []invariant{
		{"tokens with the root of another project", `SELECT count(*) FROM tokens JOIN projects ON projects.id = project_id
			WHERE tokens.root_id <> projects.root_id`},
		{"subprojects of subprojects", `SELECT count(*) FROM projects JOIN projects AS parent ON parent.id = projects.parent_id
			WHERE parent.parent_id IS NOT NULL`},
		{"tokens whose creation is not in the audit trail", `SELECT count(*) FROM tokens
			WHERE NOT EXISTS (SELECT 1 FROM audit_events WHERE token_id = tokens.id AND action = 'token.created')
			AND created_at >= coalesce((SELECT convert_from(value, 'UTF8')::bigint FROM settings WHERE name = 'trail_since'), 0)`}, // see Import
		{"deleted tokens that are there", `SELECT count(*) FROM tokens
			WHERE EXISTS (SELECT 1 FROM audit_events WHERE token_id = tokens.id AND action = 'token.deleted')`},
		{"tokens of which the audit trail has no deletion, and which are not there", `SELECT count(DISTINCT token_id) FROM audit_events AS event
			WHERE token_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tokens WHERE id = event.token_id)
			AND NOT EXISTS (SELECT 1 FROM audit_events WHERE token_id = event.token_id AND action = 'token.deleted')`},
		{"projects of which the audit trail has events, and which are not there", `SELECT count(DISTINCT project_id) FROM audit_events AS event
			WHERE NOT EXISTS (SELECT 1 FROM projects WHERE id = event.project_id)`}, // none is ever deleted
		{"events with a time before that of an earlier one", `SELECT count(*) FROM (
			SELECT at < lag(at) OVER (PARTITION BY root_id ORDER BY id) AS back FROM audit_events) AS event WHERE back`},
	}
}

// Invariants returns what the rows of a database say about each other that cannot be. The schema must be the current one.
func (e *Examination) Invariants(ctx context.Context) ([]string, error) {
	var problems []string
	for _, i := range invariants() {
		var count int64
		if err := e.one(ctx, i.statement, &count); err != nil {
			return problems, err
		}
		if count != 0 {
			problems = append(problems, fmt.Sprintf("%d %s", count, i.broken))
		}
	}
	unreadable, err := e.unreadable(ctx)
	return append(problems, unreadable...), explain(ctx, err)
}

// unreadable finds events that scanEvent refuses: no page that has one of them can be answered.
func (e *Examination) unreadable(ctx context.Context) ([]string, error) {
	rows, err := e.conn.Query(ctx, `SELECT `+columnsOfEvent+` FROM audit_events`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var count int
	var first error
	for rows.Next() {
		if _, err := scanEvent(rows); err != nil {
			count, first = count+1, cmp.Or(first, err)
		}
	}
	if count == 0 {
		return nil, rows.Err()
	}
	return []string{fmt.Sprintf("%d events that cannot be read (%v)", count, first)}, rows.Err()
}

// EachProject calls read with each project.
func (e *Examination) EachProject(ctx context.Context, read func(store.Project)) error {
	return readEach(ctx, e, scanProject, `SELECT `+columnsOfProject+` FROM projects`, read)
}

// EachToken calls read with each token.
func (e *Examination) EachToken(ctx context.Context, read func(store.Token)) error {
	return readEach(ctx, e, scanToken, `SELECT `+columnsOfToken+` FROM tokens`, read)
}

func readEach[T any](ctx context.Context, e *Examination, scan pgx.RowToFunc[T], text string, read func(T)) error {
	rows, err := e.conn.Query(ctx, text)
	if err != nil {
		return explain(ctx, err)
	}
	defer rows.Close()
	return explain(ctx, each(func(row pgx.Rows) error {
		found, err := scan(row)
		if err == nil {
			read(found)
		}
		return err
	})(rows))
}

// Counts counts the rows.
func (e *Examination) Counts(ctx context.Context) (store.Counts, error) {
	var counts store.Counts
	err := e.one(ctx, `SELECT (SELECT count(*) FROM projects), (SELECT count(*) FROM tokens), (SELECT count(*) FROM audit_events)`,
		&counts.Projects, &counts.Tokens, &counts.Events)
	return counts, err
}

// KeysetCheck returns the value with which the keyset is told from others, or nil.
func (e *Examination) KeysetCheck(ctx context.Context) ([]byte, error) {
	var value []byte
	err := e.one(ctx, selectKeysetCheck, &value)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return value, err
}

// CountSealed counts the sealed values. The schema must be the current one, as for those below.
func (e *Examination) CountSealed(ctx context.Context) (int, int, error) {
	counts, err := countSealed(ctx, e.conn)
	return counts.secrets, counts.answers, explain(ctx, err)
}

// SealedSecrets returns a part of the sealed secrets, as a store does.
func (e *Examination) SealedSecrets(ctx context.Context, after uuid.UUID, limit int) ([]store.SealedSecret, error) {
	found, err := sealedSecrets(ctx, e.conn, after, limit)
	return found, explain(ctx, err)
}

// SealedAnswers returns a part of the sealed answers, as a store does.
func (e *Examination) SealedAnswers(ctx context.Context, after store.AnswerPlace, limit int) ([]store.SealedAnswer, error) {
	found, err := sealedAnswers(ctx, e.conn, after, limit)
	return found, explain(ctx, err)
}
