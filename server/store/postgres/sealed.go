package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tokenwire/tokenwire/server/store"
)

const (
	lockSealAlone   = `SELECT pg_advisory_xact_lock($1)`
	moveKeysetCheck = `UPDATE settings SET value = $1 WHERE name = 'keyset_check' AND value = $2`

	selectSealedSecrets = `SELECT id, secret_hash, sealed_secret FROM tokens WHERE id > $1 ORDER BY id LIMIT $2` //nolint:gosec // these are names of columns
	selectSealedAnswers = `SELECT project_id, key, answer FROM idempotent_answers WHERE (project_id, key) > ($1, $2)
		ORDER BY project_id, key LIMIT $3`

	// lockSealed takes the same locks as a change to these tokens, or under keys of these projects, does: a change that has read the
	// value from before would write it again.
	lockSealed = `SELECT 1 FROM projects WHERE id IN (SELECT root_id FROM tokens WHERE id = ANY($1::uuid[])
		UNION SELECT root_id FROM projects WHERE id = ANY($2::uuid[])) ORDER BY id FOR NO KEY UPDATE`
	//nolint:gosec // it is no secret
	resealSecrets = `UPDATE tokens SET sealed_secret = changed.after FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS changed (id, before, after)
		WHERE tokens.id = changed.id AND sealed_secret = changed.before`
	resealAnswers = `UPDATE idempotent_answers AS kept SET answer = changed.after
		FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[]) AS changed (project_id, key, before, after)
		WHERE kept.project_id = changed.project_id AND kept.key = changed.key AND kept.answer = changed.before`
)

// checkSeal refuses a value that was not sealed with the key of the keyset check.
func checkSeal(check, sealed []byte) error {
	if !store.SameKey(check, sealed) {
		return store.ErrStaleSeal
	}
	return nil
}

// MoveKeysetCheck replaces the value, when all transactions have ended that keep what the key from before has sealed.
func (db *DB) MoveKeysetCheck(ctx context.Context, from, to []byte) ([]byte, error) {
	l := db.link.Load()
	_, err := readOnce(ctx, l, l.writing, func(ctx context.Context, c *pgxpool.Conn) (struct{}, error) {
		b := &pgx.Batch{}
		b.Queue(begin)
		b.Queue(lockSealAlone, sealLock)
		b.Queue(moveKeysetCheck, to, from)
		b.Queue(commit)
		return struct{}{}, c.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return nil, fmt.Errorf("move the keyset check: %w", explain(ctx, err))
	}
	return db.KeysetCheck(ctx)
}

// querier is a connection, or a transaction on it.
type querier interface {
	Query(ctx context.Context, text string, args ...any) (pgx.Rows, error)
}

type sealedCounts struct{ secrets, answers int }

func countSealed(ctx context.Context, c querier) (sealedCounts, error) {
	rows, err := c.Query(ctx, `SELECT (SELECT count(*) FROM tokens), (SELECT count(*) FROM idempotent_answers)`)
	if err != nil {
		return sealedCounts{}, err
	}
	return pgx.CollectOneRow(rows, func(row pgx.CollectableRow) (sealedCounts, error) {
		var counts sealedCounts
		return counts, row.Scan(&counts.secrets, &counts.answers)
	})
}

func sealedSecrets(ctx context.Context, c querier, after uuid.UUID, limit int) ([]store.SealedSecret, error) {
	rows, err := c.Query(ctx, selectSealedSecrets, id(after), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.SealedSecret, error) {
		var token pgtype.UUID
		var hash []byte
		var found store.SealedSecret
		err := row.Scan(&token, &hash, &found.Sealed)
		found.TokenID, found.Hash = token.Bytes, hashOf(hash)
		return found, err
	})
}

func sealedAnswers(ctx context.Context, c querier, after store.AnswerPlace, limit int) ([]store.SealedAnswer, error) {
	rows, err := c.Query(ctx, selectSealedAnswers, id(after.ProjectID), after.Key, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.SealedAnswer, error) {
		var project pgtype.UUID
		var found store.SealedAnswer
		err := row.Scan(&project, &found.Key, &found.Sealed)
		found.ProjectID = project.Bytes
		return found, err
	})
}

// CountSealed counts the sealed values.
func (db *DB) CountSealed(ctx context.Context) (int, int, error) {
	counts, err := read(ctx, db, func(ctx context.Context, c *pgxpool.Conn) (sealedCounts, error) { return countSealed(ctx, c) })
	if err != nil {
		return 0, 0, fmt.Errorf("count what is sealed: %w", err)
	}
	return counts.secrets, counts.answers, nil
}

// SealedSecrets returns a part of the sealed secrets.
func (db *DB) SealedSecrets(ctx context.Context, after uuid.UUID, limit int) ([]store.SealedSecret, error) {
	found, err := read(ctx, db, func(ctx context.Context, c *pgxpool.Conn) ([]store.SealedSecret, error) {
		return sealedSecrets(ctx, c, after, limit)
	})
	if err != nil {
		return nil, fmt.Errorf("read sealed secrets: %w", err)
	}
	return found, nil
}

// SealedAnswers returns a part of the sealed answers.
func (db *DB) SealedAnswers(ctx context.Context, after store.AnswerPlace, limit int) ([]store.SealedAnswer, error) {
	found, err := read(ctx, db, func(ctx context.Context, c *pgxpool.Conn) ([]store.SealedAnswer, error) {
		return sealedAnswers(ctx, c, after, limit)
	})
	if err != nil {
		return nil, fmt.Errorf("read sealed answers: %w", err)
	}
	return found, nil
}

// Reseal replaces sealed values that are those from before still.
func (db *DB) Reseal(ctx context.Context, secrets []store.ResealedSecret, answers []store.ResealedAnswer) (int, error) {
	l := db.link.Load()
	replaced, err := readOnce(ctx, l, l.writing, func(ctx context.Context, c *pgxpool.Conn) (int, error) {
		defer rollback(ctx, c)
		return reseal(ctx, c, secrets, answers)
	})
	if err != nil {
		return 0, fmt.Errorf("seal again: %w", explain(ctx, err))
	}
	return replaced, nil
}

func reseal(ctx context.Context, c *pgxpool.Conn, secrets []store.ResealedSecret, answers []store.ResealedAnswer) (int, error) {
	var tokens, projects array[pgtype.UUID]
	var keys array[string]
	var secretsBefore, secretsAfter, answersBefore, answersAfter array[[]byte]
	for _, s := range secrets {
		tokens = append(tokens, id(s.TokenID))
		secretsBefore, secretsAfter = append(secretsBefore, s.Before), append(secretsAfter, s.After)
	}
	for _, a := range answers {
		projects, keys = append(projects, id(a.ProjectID)), append(keys, a.Key)
		answersBefore, answersAfter = append(answersBefore, a.Before), append(answersAfter, a.After)
	}
	var check []byte
	b := &pgx.Batch{}
	b.Queue(begin)
	b.Queue(lockSeal, sealLock)
	b.Queue(selectKeysetCheck).Query(each(func(row pgx.Rows) error { return row.Scan(&check) }))
	b.Queue(lockSealed, tokens, projects)
	if err := c.SendBatch(ctx, b).Close(); err != nil {
		return 0, err
	}
	for _, sealed := range append(secretsAfter, answersAfter...) {
		if err := checkSeal(check, sealed); err != nil {
			return 0, err
		}
	}
	replaced := 0
	count := func(tag pgconn.CommandTag) error {
		replaced += int(tag.RowsAffected())
		return nil
	}
	b = &pgx.Batch{}
	b.Queue(resealSecrets, tokens, secretsBefore, secretsAfter).Exec(count)
	b.Queue(resealAnswers, projects, keys, answersBefore, answersAfter).Exec(count)
	b.Queue(commit)
	err := c.SendBatch(ctx, b).Close()
	return replaced, err
}
