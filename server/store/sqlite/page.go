package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tokenwire/tokenwire/server/store"
)

// list is a SELECT of one page in the making. Its conditions are constant text; values are arguments.
type list struct {
	columns, from string
	conditions    []string
	args          []any
	newestFirst   bool
}

func (l *list) where(condition string, args ...any) {
	l.conditions = append(l.conditions, condition)
	l.args = append(l.args, args...)
}

// account selects what belongs to an account and its subprojects; owner is the column that says to which project a row
// belongs. A subproject has no subprojects, and everything of a top-level project has it as its root, so that one index
// is enough and gives the order too.
func (l *list) account(ctx context.Context, db *sql.DB, account uuid.UUID, owner string) error {
	var isSubproject bool
	err := db.QueryRowContext(ctx, `SELECT parent_id IS NOT NULL FROM projects WHERE id = ?`, account[:]).Scan(&isSubproject)
	if err != nil {
		return err
	}
	if isSubproject {
		l.where(owner+` = ?`, account[:])
	} else {
		l.where(`root_id = ?`, account[:])
	}
	return nil
}

// query returns the statement for a page. A page that ends before an entry is read backwards from there; the caller turns
// it round.
func (l *list) query(page store.Page) string {
	descending := l.newestFirst != (page.Before != nil)
	key := page.After
	if page.Before != nil {
		key = page.Before
	}
	offset := page.Offset
	if key != nil {
		offset = 0
		if descending {
			l.where(`id < ?`, key[:])
		} else {
			l.where(`id > ?`, key[:])
		}
	}
	statement := `SELECT ` + l.columns + ` FROM ` + l.from
	if len(l.conditions) > 0 {
		statement += ` WHERE ` + strings.Join(l.conditions, ` AND `)
	}
	statement += ` ORDER BY id`
	if descending {
		statement += ` DESC`
	}
	l.args = append(l.args, page.Limit, offset)
	return statement + ` LIMIT ? OFFSET ?`
}

// readPage runs the list and scans each row.
func readPage[T any](ctx context.Context, db *sql.DB, l *list, page store.Page, scan func(scanner) (T, error)) ([]T, error) {
	statement := l.query(page)
	rows, err := db.QueryContext(ctx, statement, l.args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	items := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	if page.Before != nil {
		slices.Reverse(items)
	}
	return items, rows.Err()
}

// scanner is a row, or rows at one of them.
type scanner interface{ Scan(dest ...any) error }
