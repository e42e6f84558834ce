package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxUses bounds how many uses are recorded in one transaction, so that others need not wait for long.
const maxUses = 500

const (
	// lockOwners takes the same locks as a change does: without them the rows of the tokens could be locked in another order.
	lockOwners = `SELECT 1 FROM projects WHERE id IN (SELECT root_id FROM tokens WHERE id = ANY($1::uuid[])) ORDER BY id FOR NO KEY UPDATE`
	recordUse  = `UPDATE tokens SET last_used_at = use.at FROM unnest($1::uuid[], $2::bigint[]) AS use (id, at)
		WHERE tokens.id = use.id AND (last_used_at IS NULL OR last_used_at < use.at)`
)

// RecordUse notes when tokens were used last.
func (db *DB) RecordUse(ctx context.Context, uses map[uuid.UUID]time.Time) error {
	var used array[pgtype.UUID]
	var times array[int64]
	for token, at := range uses {
		used, times = append(used, id(token)), append(times, micro(at))
	}
	for len(used) > 0 {
		n := min(maxUses, len(used))
		if err := db.recordUse(ctx, used[:n], times[:n]); err != nil {
			return fmt.Errorf("record the use of tokens: %w", err)
		}
		used, times = used[n:], times[n:]
	}
	return nil
}

// recordUse may be tried again also when it is not known whether it was done: the second time changes nothing.
func (db *DB) recordUse(ctx context.Context, used array[pgtype.UUID], times array[int64]) error {
	_, err := repeat(ctx, db, func(l *link) *pgxpool.Pool { return l.writing }, func(ctx context.Context, c *pgxpool.Conn) (struct{}, error) {
		b := &pgx.Batch{}
		b.Queue(begin)
		b.Queue(lockOwners, used)
		b.Queue(recordUse, used, times)
		b.Queue(commit)
		return struct{}{}, c.SendBatch(ctx, b).Close()
	})
	return err
}
