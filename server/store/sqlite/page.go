package sqlite

import (
	"context"
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
// is enough and gives the order too. That a subproject is not its own root lets SQLite use an index that has subprojects only.
func (l *list) account(c conn, account uuid.UUID, owner string) error {
	isSubproject, err := c.is(`SELECT parent_id IS NOT NULL FROM projects WHERE id = ?`, account[:])
	if err != nil {
		return err
	}
	if isSubproject {
		l.where(owner+` = ? AND `+owner+` <> root_id`, account[:])
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

// readPage runs the list for an account, or for all if it is uuid.Nil, and scans each row.
func readPage[T any](
	ctx context.Context, db *DB, l *list, account uuid.UUID, owner string, page store.Page, scan func(row) (T, error),
) ([]T, error) {
	items := []T{}
	err := db.read(ctx, func(c conn) error {
		if account != uuid.Nil {
			if err := l.account(c, account, owner); err != nil {
				return err
			}
		}
		statement := l.query(page)
		return c.each(statement, l.args, func(r row) error {
			item, err := scan(r)
			items = append(items, item)
			return err
		})
	})
	if page.Before != nil {
		slices.Reverse(items)
	}
	return items, err
}
