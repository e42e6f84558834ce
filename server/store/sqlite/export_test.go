package sqlite

import "context"

// Pragma reads a pragma on a connection of the named pool.
func (db *DB) Pragma(ctx context.Context, pool, name string) (string, error) {
	from := db.read
	if pool == "write" {
		from = db.write
	}
	var value string
	err := from.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
	return value, err
}
