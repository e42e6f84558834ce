package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
)

// madeSchema is what the migrations make.
func madeSchema() []string {
	return []string{
		"CHECK ((length(fingerprint) = 32)) in idempotent_answers",
		"CHECK ((length(secret_hash) = 32)) in retired_secrets",
		"CHECK ((length(secret_hash) = 32)) in tokens",
		"CHECK ((root_id = COALESCE(parent_id, id))) in projects",
		"CREATE TRIGGER audit_events_are_final BEFORE DELETE OR UPDATE OR TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION audit_events_are_final(): BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END",
		"FOREIGN KEY (parent_id) REFERENCES projects(id) in projects",
		"FOREIGN KEY (project_id) REFERENCES projects(id) in idempotent_answers",
		"FOREIGN KEY (project_id) REFERENCES projects(id) in tokens",
		"FOREIGN KEY (token_id) REFERENCES tokens(id) ON DELETE CASCADE in retired_secrets",
		"INDEX ON audit_events USING btree (project_id, id) WHERE (project_id <> root_id)",
		"INDEX ON audit_events USING btree (root_id, id)",
		"INDEX ON audit_events USING btree (token_id, id) WHERE (token_id IS NOT NULL)",
		"INDEX ON idempotent_answers USING btree (expires_at)",
		"INDEX ON projects USING btree (root_id, id)",
		"INDEX ON retired_secrets USING btree (token_id)",
		"INDEX ON tokens USING btree (project_id, id) WHERE (project_id <> root_id)",
		"INDEX ON tokens USING btree (root_id, id)",
		"UNIQUE INDEX ON audit_events USING btree (id)",
		"UNIQUE INDEX ON idempotent_answers USING btree (project_id, key)",
		"UNIQUE INDEX ON projects USING btree (id)",
		"UNIQUE INDEX ON retired_secrets USING btree (secret_hash)",
		"UNIQUE INDEX ON settings USING btree (name)",
		"UNIQUE INDEX ON tokens USING btree (id)",
		"UNIQUE INDEX ON tokens USING btree (secret_hash)",
		`action text COLLATE "C" NOT NULL in audit_events`,
		"actor_project_id uuid in audit_events",
		"actor_token_id uuid in audit_events",
		`address text COLLATE "C" NOT NULL in audit_events`,
		"answer bytea NOT NULL in idempotent_answers",
		"at bigint NOT NULL in audit_events",
		`changes text COLLATE "C" NOT NULL in audit_events`,
		"created_at bigint NOT NULL in projects",
		"created_at bigint NOT NULL in tokens",
		"expires_at bigint NOT NULL in idempotent_answers",
		"expires_at bigint in tokens",
		"fingerprint bytea NOT NULL in idempotent_answers",
		"id uuid NOT NULL in audit_events",
		"id uuid NOT NULL in projects",
		"id uuid NOT NULL in tokens",
		`key text COLLATE "C" NOT NULL in idempotent_answers`,
		"last_used_at bigint in tokens",
		`name text COLLATE "C" NOT NULL in projects`,
		`name text COLLATE "C" NOT NULL in settings`,
		`name text COLLATE "C" NOT NULL in tokens`,
		"parent_id uuid in projects",
		`permissions text COLLATE "C" NOT NULL in tokens`,
		"project_id uuid NOT NULL in audit_events",
		"project_id uuid NOT NULL in idempotent_answers",
		"project_id uuid NOT NULL in tokens",
		`request_id text COLLATE "C" NOT NULL in audit_events`,
		"root_id uuid NOT NULL in audit_events",
		"root_id uuid NOT NULL in projects",
		"root_id uuid NOT NULL in tokens",
		"sealed_secret bytea NOT NULL in tokens",
		"secret_hash bytea NOT NULL in retired_secrets",
		"secret_hash bytea NOT NULL in tokens",
		"secret_hash bytea in idempotent_answers",
		"token_id uuid NOT NULL in retired_secrets",
		"token_id uuid in audit_events",
		"token_id uuid in idempotent_answers",
		"updated_at bigint NOT NULL in projects",
		"updated_at bigint NOT NULL in tokens",
		"valid_until bigint NOT NULL in retired_secrets",
		"value bytea NOT NULL in settings",
	}
}

// selectSchema finds what a schema consists of: columns, constraints, triggers with what they do, and indexes, without names: those do not
// matter. It leaves out what does not work: indexes that were not made to the end, and triggers that are off.
const selectSchema = `WITH tables AS (SELECT oid, relname FROM pg_class WHERE relkind IN ('r', 'p') AND relname <> $1
		AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass($1)))
	SELECT attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attcollation = '"C"'::regcollation THEN ' COLLATE "C"' ELSE '' END ||
		CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END || ' in ' || relname
		FROM pg_attribute JOIN tables ON tables.oid = attrelid WHERE attnum > 0 AND NOT attisdropped
	UNION SELECT pg_get_constraintdef(pg_constraint.oid) || ' in ' || relname
		FROM pg_constraint JOIN tables ON tables.oid = conrelid WHERE contype IN ('c', 'f') AND convalidated
	UNION SELECT pg_get_triggerdef(pg_trigger.oid, true) || ': ' || trim(regexp_replace(prosrc, '\s+', ' ', 'g'))
		FROM pg_trigger JOIN tables ON tables.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')
	UNION SELECT CASE WHEN indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ON ' || relname || substring(pg_get_indexdef(indexrelid) FROM ' USING .*')
		FROM pg_index JOIN tables ON tables.oid = indrelid WHERE indisvalid AND indislive`

// Compare returns what the migrations have made and what is not there, if the schema is the current one. What is there besides it does
// not look for: tools that copy a database make triggers of their own.
func (e *Examination) Compare(ctx context.Context) (missing, foreign []string, err error) { //nolint:nonamedreturns // two are of one type
	if version, latest, err := e.Schema(ctx); err != nil || version != latest {
		return nil, nil, err
	}
	rows, err := e.conn.Query(ctx, selectSchema, versionTable)
	if err != nil {
		return nil, nil, explain(ctx, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, nil, explain(ctx, err)
	}
	return slices.DeleteFunc(madeSchema(), func(part string) bool { return slices.Contains(found, part) }), nil, nil
}
