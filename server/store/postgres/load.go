package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tokenwire/tokenwire/server/store"
)

// The statements of the first round trip, in their order. The projects are those that the changes name; the locks are on the rows at
// the top of their trees, in the order of the ids. What is read afterwards was committed before the locks were taken.
const (
	begin         = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`
	lockBootstrap = `SELECT pg_advisory_xact_lock($1)`
	lockSeal      = `SELECT pg_advisory_xact_lock_shared($1)`
	lockRoots     = `SELECT id FROM projects WHERE id IN (SELECT root_id FROM projects WHERE id = ANY($1::uuid[]))
		ORDER BY id FOR NO KEY UPDATE`
	loadEmpty    = `SELECT NOT EXISTS (SELECT 1 FROM projects)`
	loadProjects = `SELECT ` + columnsOfProject + ` FROM projects WHERE id = ANY($1::uuid[])`
	loadLatest   = `SELECT root.id, event.id, event.at
		FROM (SELECT DISTINCT root_id AS id FROM projects WHERE id = ANY($1::uuid[])) AS root
		CROSS JOIN LATERAL (SELECT id, at FROM audit_events WHERE root_id = root.id ORDER BY id DESC LIMIT 1) AS event`
	loadRetired = `SELECT id, project_id, name, permissions, tokens.secret_hash, sealed_secret, created_at, updated_at, expires_at, last_used_at,
			root_id, retired.secret_hash, valid_until
		FROM retired_secrets AS retired JOIN tokens ON tokens.id = retired.token_id WHERE retired.secret_hash = ANY($1::bytea[])`
	loadTokens = `SELECT ` + columnsOfToken + `, root_id FROM tokens WHERE id = ANY($1::uuid[])
		UNION ALL SELECT ` + columnsOfToken + `, root_id FROM tokens WHERE secret_hash = ANY($2::bytea[])`
	loadAnswers = `SELECT kept.project_id, kept.key, fingerprint, answer, expires_at
		FROM unnest($1::uuid[], $2::text[]) AS claim (project_id, key)
		JOIN idempotent_answers AS kept ON kept.project_id = claim.project_id AND kept.key = claim.key`
)

// loading is what the changes of a batch need, each once.
type loading struct {
	projects, tokens, claimants array[pgtype.UUID]
	secrets                     array[[]byte]
	keys                        array[string]
	bootstrap, seals            bool
}

func loadingFor(jobs []*job) loading {
	var l loading
	projects, tokens := make(map[uuid.UUID]bool), make(map[uuid.UUID]bool)
	secrets, claims := make(map[store.SecretHash]bool), make(map[answerKey]bool)
	for _, j := range jobs {
		n := &j.Change.needs
		l.bootstrap, l.seals = l.bootstrap || n.bootstrap, l.seals || n.seals
		for _, project := range n.projects {
			if !projects[project] {
				projects[project] = true
				l.projects = append(l.projects, id(project))
			}
		}
		for _, token := range n.tokens {
			if !tokens[token] {
				tokens[token] = true
				l.tokens = append(l.tokens, id(token))
			}
		}
		for i := range n.secrets {
			if hash := n.secrets[i]; !secrets[hash] {
				secrets[hash] = true
				l.secrets = append(l.secrets, n.secrets[i][:])
			}
		}
		for _, claim := range n.claims {
			if !claims[claim] {
				claims[claim] = true
				l.claimants, l.keys = append(l.claimants, id(claim.project)), append(l.keys, claim.key)
			}
		}
	}
	return l
}

// load begins a transaction, takes the locks and reads what the changes need, in one round trip.
func load(ctx context.Context, c *pgxpool.Conn, l loading) (*state, error) {
	s := newState()
	b := &pgx.Batch{}
	b.Queue(begin)
	if l.bootstrap {
		b.Queue(lockBootstrap, bootstrapLock)
	}
	if l.seals {
		b.Queue(lockSeal, sealLock)
		b.Queue(selectKeysetCheck).Query(each(s.loadCheck))
	}
	b.Queue(lockRoots, l.projects).Query(each(s.loadRoot))
	if l.bootstrap {
		b.Queue(loadEmpty).QueryRow(func(row pgx.Row) error { return row.Scan(&s.empty) })
	}
	b.Queue(loadProjects, l.projects).Query(each(s.loadProject))
	b.Queue(loadLatest, l.projects).Query(each(s.loadLatest))
	if len(l.secrets) > 0 {
		b.Queue(loadRetired, l.secrets).Query(each(s.loadRetired))
	}
	if len(l.tokens)+len(l.secrets) > 0 {
		b.Queue(loadTokens, l.tokens, l.secrets).Query(each(s.loadToken)) // behind the retired secrets: a current one counts
	}
	if len(l.keys) > 0 {
		b.Queue(loadAnswers, l.claimants, l.keys).Query(each(s.loadAnswer))
	}
	return s, c.SendBatch(ctx, b).Close()
}

// each reads every row with a function.
func each(read func(pgx.Rows) error) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for rows.Next() {
			if err := read(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

func (s *state) loadCheck(row pgx.Rows) error { return row.Scan(&s.check) }

func (s *state) loadRoot(row pgx.Rows) error {
	var root pgtype.UUID
	err := row.Scan(&root)
	s.locked[root.Bytes] = true
	return err
}

func (s *state) loadProject(row pgx.Rows) error {
	project, err := scanProject(row)
	s.projects[project.ID] = project
	return err
}

func (s *state) loadLatest(row pgx.Rows) error {
	var root, event pgtype.UUID
	var at int64
	err := row.Scan(&root, &event, &at)
	s.latest[root.Bytes] = moment{event.Bytes, at}
	return err
}

func (s *state) loadToken(row pgx.Rows) error {
	var found token
	var root pgtype.UUID
	err := scanTokenWith(row, &found.Token, &root)
	found.root = root.Bytes
	s.tokens[found.ID] = found
	s.secrets[found.SecretHash] = secret{token: found.ID}
	return err
}

func (s *state) loadRetired(row pgx.Rows) error {
	var found token
	var root pgtype.UUID
	var hash []byte
	var until int64
	err := scanTokenWith(row, &found.Token, &root, &hash, &until)
	found.root = root.Bytes
	s.tokens[found.ID] = found
	s.secrets[found.SecretHash] = secret{token: found.ID}
	s.secrets[hashOf(hash)] = secret{token: found.ID, retired: true, until: until}
	return err
}

func (s *state) loadAnswer(row pgx.Rows) error {
	var project pgtype.UUID
	var key string
	var fingerprint []byte
	var kept answer
	err := row.Scan(&project, &key, &fingerprint, &kept.text, &kept.expiresAt)
	copy(kept.fingerprint[:], fingerprint)
	s.answers[answerKey{project.Bytes, key}] = kept
	return err
}

func hashOf(kept []byte) store.SecretHash {
	var hash store.SecretHash
	copy(hash[:], kept)
	return hash
}
