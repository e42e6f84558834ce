package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// selectSchema finds what a schema consists of: tables and triggers by their text, and indexes, those of constraints too, by what they
// do, without names: those do not matter. What goose and SQLite make for themselves is left out, but for the versions that are recorded:
// goose, and so the server, refuses to go on where one before the last is not.
const selectSchema = `SELECT iif(type = 'table', name, ''), type, sql FROM sqlite_schema
	WHERE type IN ('table', 'trigger') AND name <> 'goose_db_version' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
	UNION ALL
	SELECT m.name, iif(list."unique", 'unique', 'index'), iif(list."unique", 'UNIQUE ', '') || 'INDEX ON ' || m.name || ' (' ||
	group_concat(coalesce(info.name, 'an expression') || iif(info.coll = 'BINARY', '', ' COLLATE ' || info.coll) || iif(info."desc", ' DESC', ''), ', ') || ')' ||
	CASE WHEN list.partial THEN (SELECT substr(sql, instr(sql, ' WHERE ')) FROM sqlite_schema WHERE name = list.name) ELSE '' END
	FROM sqlite_schema AS m, pragma_index_list(m.name) AS list, pragma_index_xinfo(list.name) AS info
	WHERE m.type = 'table' AND m.name <> 'goose_db_version' AND info.key GROUP BY m.name, list.name
	UNION ALL
	SELECT 'goose_db_version', 'version', 'version ' || version_id || ' in goose_db_version (INSERT INTO goose_db_version (version_id, is_applied) VALUES (' ||
	version_id || ', 1))' FROM goose_db_version WHERE version_id > 0`

// piece is a part of a schema: a definition in a table, an index, a trigger or a version. Triggers are of no table.
type piece struct{ table, kind, text string }

// pieces are all of a schema.
type pieces map[piece]bool

// add adds an object. SQLite quotes the names of tables that are renamed, and puts a column that is added where it likes: so quotes, white
// space and the order of what is in a table do not matter.
func (p pieces) add(table, kind, text string) {
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, `"`, "")), " ")
	if kind != "table" {
		p[piece{table, kind, text}] = true
		return
	}
	for i, definition := range definitions(text) {
		if i > 0 {
			definition += " in " + table
		}
		p[piece{table, kind, definition}] = true
	}
}

// definitions takes CREATE TABLE t (a, b (c)) STRICT apart: CREATE TABLE t, a, b (c), STRICT.
func definitions(text string) []string {
	var found []string
	depth, begin := 0, 0
	for i, c := range text {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
		if c == ',' && depth <= 1 || c == '(' && depth == 1 || c == ')' && depth == 0 {
			found = append(found, strings.TrimSpace(text[begin:i]))
			begin = i + 1
		}
	}
	return append(found, strings.TrimSpace(text[begin:]))
}

// without returns what other lacks of p.
func (p pieces) without(other pieces) []piece {
	var found []piece
	for piece := range p {
		if !other[piece] {
			found = append(found, piece)
		}
	}
	slices.SortFunc(found, func(a, b piece) int { return strings.Compare(a.text, b.text) })
	return found
}

// Compare compares the schema with what the migrations make up to its version. It returns what is missing, and what is there besides and
// could change or refuse what the program writes.
func (e *Examination) Compare(ctx context.Context) (missing, foreign []string, err error) { //nolint:nonamedreturns // two are of one type
	version, _, err := e.Schema(ctx)
	if err != nil {
		return nil, nil, err
	}
	fresh, err := freshSchema(ctx, max(version, 1)) // the first has made the file ours
	if err != nil {
		return nil, nil, fmt.Errorf("make a database to compare with: %w", err)
	}
	there := pieces{}
	err = e.conn.each(selectSchema, nil, func(r row) error {
		there.add(r.text(0), r.text(1), r.text(2))
		return nil
	})
	if err != nil {
		return nil, nil, explain(ctx, err)
	}
	for _, p := range fresh.without(there) {
		missing = append(missing, p.text)
	}
	for _, p := range there.without(fresh) {
		if p.kind != "index" && (p.table == "" || fresh[piece{p.table, "table", "CREATE TABLE " + p.table}]) {
			foreign = append(foreign, p.text)
		}
	}
	return missing, foreign, nil
}

// freshSchema is that of a database in memory that the migrations up to a version have just made.
func freshSchema(ctx context.Context, version int64) (pieces, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // each would have a memory of its own
	provider, err := newProvider(db)
	if err != nil {
		return nil, err
	}
	if _, err := provider.UpTo(ctx, version); err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, selectSchema)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := pieces{}
	for rows.Next() {
		var table, kind, text string
		if err := rows.Scan(&table, &kind, &text); err != nil {
			return nil, err
		}
		found.add(table, kind, text)
	}
	return found, rows.Err()
}
