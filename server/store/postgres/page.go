package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tokenwire/tokenwire/server/store"
)

// list is a SELECT of one page in the making. Its conditions are constant text; values are arguments, each a ? in the text.
type list struct {
	columns, from string
	conditions    []string
	args          []any
	newestFirst   bool
}

func (l *list) where(condition string, args ...any) {
	for _, arg := range args {
		l.args = append(l.args, arg)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(l.args)), 1)
	}
	l.conditions = append(l.conditions, condition)
}

// account selects what belongs to an account and its subprojects; owner is the column that says to which project a row belongs.
// A subproject has no subprojects, and everything of a top-level project has it as its root, so that one index is enough and
// gives the order too. That a subproject is not its own root lets PostgreSQL use an index that has subprojects only.
func (l *list) account(account uuid.UUID, nested bool, owner string) {
	if nested {
		l.where(owner+` = ? AND `+owner+` <> root_id`, id(account))
	} else {
		l.where(`root_id = ?`, id(account))
	}
}

// isNested reports whether a project is a subproject, or returns pgx.ErrNoRows.
func (db *DB) isNested(ctx context.Context, c *pgxpool.Conn, project uuid.UUID) (bool, error) {
	if nested, ok := db.nested.Get(project); ok {
		return nested, nil
	}
	var nested bool
	err := c.QueryRow(ctx, `SELECT parent_id IS NOT NULL FROM projects WHERE id = $1`, id(project)).Scan(&nested)
	if err == nil {
		db.nested.Add(project, nested)
	}
	return nested, err
}

// query returns the statement for a page. A page that ends before an entry is read backwards from there; the caller turns it round.
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
			l.where(`id < ?`, id(*key))
		} else {
			l.where(`id > ?`, id(*key))
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
	return statement + ` LIMIT $` + strconv.Itoa(len(l.args)-1) + ` OFFSET $` + strconv.Itoa(len(l.args))
}

// readPage runs the list for an account, or for all if it is uuid.Nil, and scans each row.
func readPage[T any](
	ctx context.Context, db *DB, l *list, account uuid.UUID, owner string, page store.Page, scan pgx.RowToFunc[T],
) ([]T, error) {
	items, err := read(ctx, db, func(ctx context.Context, c *pgxpool.Conn) ([]T, error) {
		l := &list{columns: l.columns, from: l.from, newestFirst: l.newestFirst, conditions: slices.Clone(l.conditions), args: slices.Clone(l.args)}
		if account != uuid.Nil {
			nested, err := db.isNested(ctx, c, account)
			if err != nil {
				return nil, err
			}
			l.account(account, nested, owner)
		}
		rows, err := c.Query(ctx, l.query(page), l.args...)
		if err != nil {
			return nil, err
		}
		return pgx.AppendRows([]T{}, rows, scan)
	})
	if page.Before != nil {
		slices.Reverse(items)
	}
	return items, err
}
