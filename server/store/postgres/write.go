package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tokenwire/tokenwire/server/store"
)

// writes are what differs between a state and the database.
type writes struct {
	projects map[uuid.UUID]bool // whether they are new
	tokens   map[uuid.UUID]bool // whether the database has them
	endings  map[uuid.UUID]ending
	answers  map[answerKey]bool
	events   events
	changed  map[uuid.UUID]bool // tokens that do not authenticate as they did
}

// ending is when the retired secrets of a token end at the latest, and a time at which those that have ended may go.
type ending struct{ until, now int64 }

func newWrites() writes {
	return writes{
		projects: make(map[uuid.UUID]bool), tokens: make(map[uuid.UUID]bool), endings: make(map[uuid.UUID]ending),
		answers: make(map[answerKey]bool), changed: make(map[uuid.UUID]bool),
	}
}

// any reports whether there is something to write. Every change leaves an event.
func (w *writes) any() bool { return len(w.events.ids) > 0 }

func (w *writes) project(id uuid.UUID, isNew bool) { w.projects[id] = w.projects[id] || isNew }

// token is called before a token changes for the first time.
func (w *writes) token(id uuid.UUID, known map[uuid.UUID]token) {
	if _, noted := w.tokens[id]; !noted {
		_, w.tokens[id] = known[id]
	}
}

func (w *writes) retire(token uuid.UUID, until, now int64) {
	if earlier, ok := w.endings[token]; ok {
		until, now = min(until, earlier.until), max(now, earlier.now)
	}
	w.endings[token] = ending{until, now}
}

const (
	commit = `COMMIT`

	insertProjects = `INSERT INTO projects (` + columnsOfProject + `, root_id)
		SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::uuid[])`
	updateProjects = `UPDATE projects SET name = changed.name, updated_at = changed.updated_at
		FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS changed (id, name, updated_at) WHERE projects.id = changed.id`
	deleteTokens = `DELETE FROM tokens WHERE id = ANY($1::uuid[])`
	insertTokens = `INSERT INTO tokens (id, name, permissions, secret_hash, sealed_secret, updated_at, expires_at, project_id, root_id, created_at, last_used_at)
		SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::bigint[], $7::bigint[],
			$8::uuid[], $9::uuid[], $10::bigint[], $11::bigint[])`
	endRetired = `UPDATE retired_secrets SET valid_until = ending.until FROM unnest($1::uuid[], $2::bigint[]) AS ending (token_id, until)
		WHERE retired_secrets.token_id = ending.token_id AND valid_until > ending.until`
	deleteRetired = `DELETE FROM retired_secrets USING unnest($1::uuid[], $2::bigint[]) AS ending (token_id, now)
		WHERE retired_secrets.token_id = ending.token_id AND valid_until <= ending.now`
	insertRetired = `INSERT INTO retired_secrets (secret_hash, token_id, valid_until) SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::bigint[])`
	// insertAnswers takes the place of answers that have expired: no other has been found.
	insertAnswers = `INSERT INTO idempotent_answers (project_id, key, fingerprint, answer, expires_at, token_id, secret_hash)
		SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[], $6::uuid[], $7::bytea[])
		ON CONFLICT (project_id, key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer,
			expires_at = excluded.expires_at, token_id = excluded.token_id, secret_hash = excluded.secret_hash`
)

// updateTokens leaves last_used_at alone, which changes without a lock on the tree.
const updateTokens = //nolint:gosec // this is a statement, and no secret
`UPDATE tokens SET name = changed.name, permissions = changed.permissions, secret_hash = changed.secret_hash,
		sealed_secret = changed.sealed_secret, updated_at = changed.updated_at, expires_at = changed.expires_at
	FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::bigint[], $7::bigint[])
		AS changed (id, name, permissions, secret_hash, sealed_secret, updated_at, expires_at)
	WHERE tokens.id = changed.id`

// errInDoubt says that COMMIT was sent, and that it is not known what has become of it.
var errInDoubt = fmt.Errorf("%w: the connection was lost during the commit, so that the change may have been made", store.ErrUnavailable)

// save writes what has changed and commits, in one round trip. The error wraps errInDoubt unless nothing has happened for certain.
func (s *state) save(ctx context.Context, c *pgxpool.Conn) error {
	b := &pgx.Batch{}
	s.queueProjects(b)
	s.queueTokens(b)
	s.queueRetired(b)
	s.queueAnswers(b)
	s.dirty.events.queue(b)
	b.Queue(commit)
	before := b.Len()
	s.queueNotifications(b)

	warnings := c.Conn().PgConn().CustomData()
	delete(warnings, warned)
	results := c.SendBatch(ctx, b)
	defer func() { _ = results.Close() }() // what comes behind the commit does not change it
	for range before - 1 {
		if _, err := results.Exec(); err != nil {
			return inDoubt(err)
		}
	}
	tag, err := results.Exec()
	switch {
	case err != nil:
		return inDoubt(err)
	case tag.String() != commit:
		return fmt.Errorf("the transaction ended in %s", tag)
	case warnings[warned] != nil: // above all that the wait for a standby was given up
		return fmt.Errorf("%w: the server has warned: %v", errInDoubt, warnings[warned])
	}
	return nil
}

// inDoubt returns an error after which the transaction was not committed for certain as it is: the server has refused a statement, or
// nothing was sent at all. A server that ends the connection may do so behind the commit.
func inDoubt(err error) error {
	pgErr, answered := errors.AsType[*pgconn.PgError](err)
	if answered && pgErr.SeverityUnlocalized == "ERROR" || pgconn.SafeToRetry(err) {
		return err
	}
	return fmt.Errorf("%w: %v", errInDoubt, err) //nolint:errorlint // it must not be unwrapped: it is not one that may be tried again
}

func (s *state) queueProjects(b *pgx.Batch) {
	var added, parents, roots, renamed array[pgtype.UUID]
	var names, newNames array[string]
	var created, updated, renamedAt array[int64]
	for project, isNew := range s.dirty.projects {
		p := s.projects[project]
		if !isNew {
			renamed, newNames, renamedAt = append(renamed, id(project)), append(newNames, p.Name), append(renamedAt, micro(p.UpdatedAt))
			continue
		}
		added, parents, roots = append(added, id(project)), append(parents, optionalID(p.ParentID)), append(roots, id(p.Root()))
		names, created, updated = append(names, p.Name), append(created, micro(p.CreatedAt)), append(updated, micro(p.UpdatedAt))
	}
	if len(added) > 0 {
		b.Queue(insertProjects, added, parents, names, created, updated, roots)
	}
	if len(renamed) > 0 {
		b.Queue(updateProjects, renamed, newNames, renamedAt)
	}
}

// tokenColumns are tokens, by column.
type tokenColumns struct {
	ids, projects, roots array[pgtype.UUID]
	names, permissions   array[string]
	hashes, sealed       array[[]byte]
	created, updated     array[int64]
	expires, lastUsed    array[pgtype.Int8]
}

func (t *tokenColumns) add(of token) {
	t.ids, t.projects, t.roots = append(t.ids, id(of.ID)), append(t.projects, id(of.ProjectID)), append(t.roots, id(of.root))
	t.names, t.permissions = append(t.names, of.Name), append(t.permissions, joinPermissions(of.Permissions))
	t.hashes, t.sealed = append(t.hashes, of.SecretHash[:]), append(t.sealed, of.SealedSecret)
	t.created, t.updated = append(t.created, micro(of.CreatedAt)), append(t.updated, micro(of.UpdatedAt))
	t.expires, t.lastUsed = append(t.expires, optionalMicro(of.ExpiresAt)), append(t.lastUsed, optionalMicro(of.LastUsedAt))
}

func (s *state) queueTokens(b *pgx.Batch) {
	var added, updated tokenColumns
	var deleted array[pgtype.UUID]
	for token, existed := range s.dirty.tokens {
		now, exists := s.tokens[token]
		switch {
		case exists && existed:
			updated.add(now)
		case exists:
			added.add(now)
		case existed:
			deleted = append(deleted, id(token))
		}
	}
	if len(deleted) > 0 {
		b.Queue(deleteTokens, deleted)
	}
	if t := &updated; len(t.ids) > 0 {
		b.Queue(updateTokens, t.ids, t.names, t.permissions, t.hashes, t.sealed, t.updated, t.expires)
	}
	if t := &added; len(t.ids) > 0 {
		b.Queue(insertTokens, t.ids, t.names, t.permissions, t.hashes, t.sealed, t.updated, t.expires, t.projects, t.roots, t.created, t.lastUsed)
	}
}

func (s *state) queueRetired(b *pgx.Batch) {
	if len(s.dirty.endings) == 0 {
		return
	}
	var tokens, owners array[pgtype.UUID]
	var untils, nows, validUntil array[int64]
	var hashes array[[]byte]
	for token, ending := range s.dirty.endings {
		tokens, untils, nows = append(tokens, id(token)), append(untils, ending.until), append(nows, ending.now)
	}
	for hash, of := range s.secrets {
		if of.added && of.until > s.dirty.endings[of.token].now {
			hashes, owners, validUntil = append(hashes, hash[:]), append(owners, id(of.token)), append(validUntil, of.until)
		}
	}
	b.Queue(endRetired, tokens, untils)
	b.Queue(deleteRetired, tokens, nows)
	if len(hashes) > 0 {
		b.Queue(insertRetired, hashes, owners, validUntil)
	}
}

func (s *state) queueAnswers(b *pgx.Batch) {
	if len(s.dirty.answers) == 0 {
		return
	}
	var projects, tokens array[pgtype.UUID]
	var keys array[string]
	var fingerprints, texts, secrets array[[]byte]
	var expires array[int64]
	for key := range s.dirty.answers {
		kept := s.answers[key]
		projects, keys, tokens = append(projects, id(key.project)), append(keys, key.key), append(tokens, optionalID(kept.by))
		fingerprints, texts = append(fingerprints, kept.fingerprint[:]), append(texts, kept.text)
		expires = append(expires, kept.expiresAt)
		var hash []byte
		if kept.with != nil {
			hash = kept.with[:]
		}
		secrets = append(secrets, hash)
	}
	b.Queue(insertAnswers, projects, keys, fingerprints, texts, expires, tokens, secrets)
}
