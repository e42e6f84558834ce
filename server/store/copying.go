package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Part is some of the rows of a table, which is called the same in every adapter that can copy, and so are its columns.
type Part struct {
	Name  string // for people
	Table string
	// Columns begin with those of the primary key, of which there are Keys.
	Columns []string
	Keys    int
	// Where is a condition in plain SQL, which every database understands.
	Where string
}

// Row has the values of a part's columns: nil, int64, string or []byte. An id is its 16 bytes.
type Row []any

// Parts are what a copy of a database consists of, in an order in which each refers to earlier ones only. Answers that have expired
// at now are left out.
func Parts(now time.Time) []Part {
	project := []string{"id", "parent_id", "root_id", "name", "created_at", "updated_at"}
	return []Part{
		{Name: "keyset check", Table: "settings", Keys: 1, Where: "name = 'keyset_check'", Columns: []string{"name", "value"}},
		{Name: "projects", Table: "projects", Keys: 1, Where: "parent_id IS NULL", Columns: project},
		{Name: "subprojects", Table: "projects", Keys: 1, Where: "parent_id IS NOT NULL", Columns: project},
		{Name: "tokens", Table: "tokens", Keys: 1, Where: "true", Columns: []string{"id", "project_id", "root_id", "name", "permissions",
			"secret_hash", "sealed_secret", "created_at", "updated_at", "expires_at", "last_used_at"}},
		{Name: "retired secrets", Table: "retired_secrets", Keys: 1, Where: "true",
			Columns: []string{"secret_hash", "token_id", "valid_until"}},
		{Name: "kept answers", Table: "idempotent_answers", Keys: 2, Where: fmt.Sprintf("expires_at > %d", now.UnixMicro()),
			Columns: []string{"project_id", "key", "fingerprint", "answer", "expires_at", "token_id", "secret_hash"}},
		{Name: "audit trail", Table: "audit_events", Keys: 1, Where: "true", Columns: []string{"id", "at", "action", "root_id",
			"project_id", "token_id", "actor_project_id", "actor_token_id", "address", "request_id", "changes"}},
	}
}

// Select is the statement that reads the rows of a part in the order of the primary key, for adapters; behind a key, whose values are
// its arguments, unless that is nil.
func (p Part) Select(after Row) string {
	keys, where := strings.Join(p.Columns[:p.Keys], ", "), p.Where
	if after != nil {
		where += " AND (" + keys + ") > (" + strings.Join([]string{"$1", "$2"}[:p.Keys], ", ") + ")" // no key is longer
	}
	return "SELECT " + strings.Join(p.Columns, ", ") + " FROM " + p.Table + " WHERE " + where + " ORDER BY " + keys
}

// Origin is where a copy comes from.
type Origin struct {
	// Fingerprint tells the database from others.
	Fingerprint [32]byte
	// TrailSince is when its audit trail began, in microseconds since 1970: tokens may be older.
	TrailSince int64
}

// RowReader reads the rows of a database.
type RowReader interface {
	// CountRows counts the rows of a part.
	CountRows(ctx context.Context, part Part) (int64, error)

	// Rows calls read with each row of a part, in the order of the primary key: of those behind a key, unless it is nil. It keeps
	// one row in memory.
	Rows(ctx context.Context, part Part, after Row, read func(Row) error) error
}

// Exporter is a database that is copied. All that it returns is as it was at one moment.
type Exporter interface {
	RowReader

	// Origin says which database it is.
	Origin(ctx context.Context) (Origin, error)
}

// Importer is a database that becomes a copy. Nothing but a copy of the same origin can use it before Finish has returned.
type Importer interface {
	RowReader

	// Begin makes the schema and marks the database as an unfinished copy, in one step. It must refuse, and leave as it is, a database
	// that is neither empty nor an unfinished copy of this origin, and one at which another copy is at work.
	Begin(ctx context.Context, origin Origin) error

	// LastKey returns the primary key of the last row of a part, or nil.
	LastKey(ctx context.Context, part Part) (Row, error)

	// AddRows adds rows: all of them, or none.
	AddRows(ctx context.Context, part Part, rows []Row) error

	// Finish takes the mark away: the database is like any other from then on.
	Finish(ctx context.Context) error
}
