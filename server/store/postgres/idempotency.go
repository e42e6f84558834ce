package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tokenwire/tokenwire/server/store"
)

// TokenByRepetition finds the token that has made a change under an idempotency key.
func (db *DB) TokenByRepetition(
	ctx context.Context, token uuid.UUID, hash store.SecretHash, project uuid.UUID, key string, now time.Time,
) (store.Token, error) {
	found, err := readOne(ctx, db, scanToken, `SELECT `+columnsOfToken+` FROM tokens
		WHERE id = $1 AND (expires_at IS NULL OR expires_at > $2) AND EXISTS (SELECT 1 FROM idempotent_answers AS kept
			WHERE kept.project_id = $3 AND kept.key = $4 AND kept.token_id = $1 AND kept.secret_hash = $5 AND kept.expires_at > $2)`,
		id(token), micro(now), id(project), key, hash[:])
	if err != nil {
		return store.Token{}, fmt.Errorf("token by repetition: %w", err)
	}
	found.SecretHash = hash
	return found, nil
}

const (
	purgeInterval = time.Minute
	// purgeExpired removes answers that have expired, a limited number at once. It waits for nobody.
	purgeExpired = `DELETE FROM idempotent_answers WHERE (project_id, key) IN (
		SELECT project_id, key FROM idempotent_answers WHERE expires_at <= $1 ORDER BY expires_at LIMIT 10000 FOR UPDATE SKIP LOCKED)`
)

// purge removes the answers that had expired at this time, once in a while. An expired answer that stays is none: who looks for one
// compares the time, and a new one takes its place. It takes no other connection than the writer has: there may be none for as long as
// another writer waits.
func (db *DB) purge(ctx context.Context, c *pgxpool.Conn, now int64) {
	last := db.purged.Load()
	if now-last < purgeInterval.Microseconds() || !db.purged.CompareAndSwap(last, now) {
		return
	}
	_, _ = c.Exec(ctx, purgeExpired, now) // the next one does what this one has not
}
