package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tokenwire/tokenwire/server/store"
)

// copyMark is the setting that an unfinished copy has. Its value is the fingerprint of the origin.
const copyMark = "unfinished_copy"

// errUnfinished is what everybody but the copy itself hears of an unfinished copy.
const errUnfinished = refusal("it is an unfinished copy: run the same tokenwire copy again, or name another database")

// Import is a database that becomes a copy of another one.
type Import struct {
	config *pgx.ConnConfig
	conn   *pgx.Conn
	name   string
}

var _ store.Importer = (*Import)(nil)

// OpenImport connects to the database that dsn names, and changes nothing yet. The caller closes it. flag is what errors call the DSN.
func OpenImport(ctx context.Context, flag, dsn string) (*Import, error) {
	pool, err := parse(flag, dsn)
	if err != nil {
		return nil, err
	}
	pool = forWriting(pool)
	config := pool.ConnConfig
	config.RuntimeParams["statement_timeout"], config.RuntimeParams["idle_in_transaction_session_timeout"] = "0", "0"
	config.RuntimeParams["plan_cache_mode"], config.RuntimeParams["enable_seqscan"] = "auto", "on"
	i := &Import{config: config, name: Name(dsn)}
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, i.explain(ctx, err)
	}
	if err := pool.AfterConnect(ctx, c); err != nil {
		return nil, errors.Join(i.explain(ctx, err), c.Close(ctx))
	}
	i.conn = c
	return i, nil
}

// Close closes the connection.
func (i *Import) Close() error { return i.conn.Close(context.Background()) }

func (i *Import) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return unusable(ctx, i.name, i.config, err)
}

// Begin marks the database as an unfinished copy. It looks first, because making the schema is a change already, and again when
// nobody can come in between.
func (i *Import) Begin(ctx context.Context, origin store.Origin) error {
	return i.explain(ctx, i.begin(ctx, origin))
}

func (i *Import) begin(ctx context.Context, origin store.Origin) error {
	var made bool
	if err := i.conn.QueryRow(ctx, `SELECT to_regclass('settings') IS NOT NULL AND to_regclass($1) IS NOT NULL`, versionTable).Scan(&made); err != nil {
		return err
	}
	if made {
		if _, err := i.isMarked(ctx, origin); err != nil {
			return err
		}
	}
	if err := prepare(ctx, i.config); err != nil {
		return err
	}
	// The session keeps it. Of a copy that was killed the server may notice only after a moment that it is gone.
	_, err := i.conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, copyLock)
	if isState(err, lockNotAvailable) {
		return refusal("another tokenwire copy is at work on it")
	}
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, i.conn, func(pgx.Tx) error {
		if _, err := i.conn.Exec(ctx, lockBootstrap, bootstrapLock); err != nil {
			return err
		}
		marked, err := i.isMarked(ctx, origin)
		if err != nil || marked {
			return err
		}
		_, err = i.conn.Exec(ctx, `INSERT INTO settings (name, value) VALUES ($1, $2), ('trail_since', $3)`,
			copyMark, origin.Fingerprint[:], fmt.Appendf(nil, "%d", origin.TrailSince))
		return err
	})
}

// isMarked reports whether the database is an unfinished copy of this origin, and refuses what is neither that nor empty.
func (i *Import) isMarked(ctx context.Context, origin store.Origin) (bool, error) {
	var mark []byte
	var used bool
	err := i.conn.QueryRow(ctx, `SELECT (SELECT value FROM settings WHERE name = $1),
		EXISTS (SELECT 1 FROM settings) OR EXISTS (SELECT 1 FROM projects) OR EXISTS (SELECT 1 FROM audit_events)`, copyMark).Scan(&mark, &used)
	switch {
	case err != nil:
		return false, err
	case bytes.Equal(mark, origin.Fingerprint[:]):
		return true, nil
	case mark != nil:
		return false, refusal("it is an unfinished copy of another database, or of this one before its keyset was rotated: name an empty database")
	case used:
		return false, refusal("it is not empty: it has been served or copied to before; name an empty database")
	}
	return false, nil
}

// refuseUnfinished refuses an unfinished copy.
func refuseUnfinished(ctx context.Context, c interface {
	QueryRow(ctx context.Context, text string, args ...any) pgx.Row
}) error {
	var unfinished bool
	err := c.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM settings WHERE name = $1)`, copyMark).Scan(&unfinished)
	if err == nil && unfinished {
		return errUnfinished
	}
	return err
}

// CountRows counts the rows of a part.
func (i *Import) CountRows(ctx context.Context, part store.Part) (int64, error) {
	var rows int64
	err := i.conn.QueryRow(ctx, `SELECT count(*) FROM `+part.Table+` WHERE `+part.Where).Scan(&rows)
	return rows, i.explain(ctx, err)
}

// Rows reads the rows of a part.
func (i *Import) Rows(ctx context.Context, part store.Part, after store.Row, read func(store.Row) error) error {
	rows, err := i.conn.Query(ctx, part.Select(after), after...)
	if err != nil {
		return i.explain(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		found, err := values(rows)
		if err == nil {
			err = read(found)
		}
		if err != nil {
			return err
		}
	}
	return i.explain(ctx, rows.Err())
}

// LastKey returns the key up to which rows have arrived.
func (i *Import) LastKey(ctx context.Context, part store.Part) (store.Row, error) {
	keys := part.Columns[:part.Keys]
	rows, err := i.conn.Query(ctx, `SELECT `+strings.Join(keys, ", ")+` FROM `+part.Table+` WHERE `+part.Where+
		` ORDER BY `+strings.Join(keys, " DESC, ")+` DESC LIMIT 1`)
	if err != nil {
		return nil, i.explain(ctx, err)
	}
	key, err := pgx.CollectOneRow(rows, func(r pgx.CollectableRow) (store.Row, error) { return values(r) })
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return key, i.explain(ctx, err)
}

func values(rows interface{ Values() ([]any, error) }) (store.Row, error) {
	found, err := rows.Values()
	for n, value := range found {
		if id, ok := value.([16]byte); ok {
			found[n] = id[:]
		}
	}
	return found, err
}

// AddRows adds rows in a transaction.
func (i *Import) AddRows(ctx context.Context, part store.Part, rows []store.Row) error {
	_, err := i.conn.CopyFrom(ctx, pgx.Identifier{part.Table}, part.Columns,
		pgx.CopyFromSlice(len(rows), func(n int) ([]any, error) { return rows[n], nil }))
	if isState(err, uniqueViolation) || isState(err, foreignKeyViolation) { // the source itself has no such rows together
		return fmt.Errorf("the source has changed since this copy began (%w): stop its server, and copy to an empty database", err)
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code[:2] >= "22" && pgErr.Code[:2] <= "23" {
		return fmt.Errorf("the source has what PostgreSQL cannot keep (%w); look at the source with tokenwire doctor", err)
	}
	return i.explain(ctx, err)
}

// Finish takes the mark away, after PostgreSQL has seen what the tables have in them: its plans are good from the first request on.
func (i *Import) Finish(ctx context.Context) error {
	if _, err := i.conn.Exec(ctx, `ANALYZE projects, tokens, retired_secrets, idempotent_answers, audit_events, settings`); err != nil {
		return i.explain(ctx, err)
	}
	_, err := i.conn.Exec(ctx, `DELETE FROM settings WHERE name = $1`, copyMark)
	return i.explain(ctx, err)
}
