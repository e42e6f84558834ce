package sqlite

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/tokenwire/tokenwire/server/store"
)

// Export is a look at a database as it was at one moment.
type Export struct{ *Examination }

var _ store.Exporter = Export{}

// OpenExport opens the database at path for copying. It may be in use. The caller closes it, soon: meanwhile what others write
// stays in the log.
func OpenExport(ctx context.Context, path string) (Export, error) {
	e, err := Examine(ctx, path)
	if err != nil {
		return Export{}, err
	}
	version, latest, err := e.Schema(ctx)
	if err == nil && version != latest {
		err = fmt.Errorf("%s has schema %d, and this version copies schema %d: start this version's server on it once, and stop it", path, version, latest)
	}
	if err == nil {
		err = e.conn.exec(`BEGIN`)
	}
	if err == nil {
		err = e.conn.exec(`SELECT count(*) FROM sqlite_schema`) // the transaction begins here
	}
	if err != nil {
		return Export{}, errors.Join(explain(ctx, err), e.Close())
	}
	return Export{e}, nil
}

// Origin tells databases apart by what is made once: the first project, and the keyset check until the keyset is rotated.
func (e Export) Origin(ctx context.Context) (store.Origin, error) {
	check, err := e.conn.keysetCheck()
	if err != nil {
		return store.Origin{}, explain(ctx, err)
	}
	if check == nil {
		return store.Origin{}, errors.New("the database has no keyset yet: there is nothing to copy")
	}
	first, err := one(e.conn, bytesAt0, `SELECT id FROM projects ORDER BY created_at, id LIMIT 1`)
	if errors.Is(err, errNoRow) {
		return store.Origin{}, errors.New("the database has no project yet: there is nothing to copy")
	}
	if err != nil {
		return store.Origin{}, explain(ctx, err)
	}
	since, err := one(e.conn, int64At0, `SELECT unixepoch(tstamp) * 1000000 FROM goose_db_version WHERE version_id = 2`) // which has made the trail
	return store.Origin{Fingerprint: sha256.Sum256(append(first, check...)), TrailSince: since}, explain(ctx, err)
}

// CountRows counts the rows of a part.
func (e Export) CountRows(ctx context.Context, part store.Part) (int64, error) {
	rows, err := one(e.conn, int64At0, `SELECT count(*) FROM `+part.Table+` WHERE `+part.Where)
	return rows, explain(ctx, err)
}

// Rows reads the rows of a part.
func (e Export) Rows(ctx context.Context, part store.Part, after store.Row, read func(store.Row) error) error {
	var stopped error
	err := e.conn.each(part.Select(after), after, func(r row) error {
		found := make(store.Row, len(part.Columns))
		for i := range found {
			found[i] = r.value(i)
		}
		stopped = read(found)
		return stopped
	})
	if stopped != nil {
		return stopped // what the caller says is not SQLite's to explain
	}
	return explain(ctx, err)
}

// value reads a column of any type. Tables are strict, so that it is that of the column, or NULL.
func (r row) value(column int) any {
	switch r.stmt.ColumnType(column) {
	case sqlite.TypeInteger:
		return r.stmt.ColumnInt64(column)
	case sqlite.TypeText:
		return r.text(column)
	case sqlite.TypeBlob:
		return r.bytes(column)
	case sqlite.TypeFloat, sqlite.TypeNull:
	}
	return nil
}
