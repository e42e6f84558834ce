-- As in SQLite times are microseconds since 1970 in UTC, and a permission set is its sorted names joined by commas. Texts are
-- compared byte by byte. root_id is the project at the top: the owner's parent, or the owner itself.
-- Later migrations only add, so that an older program works beside a newer one.

-- +goose Up
CREATE TABLE projects (
    id         uuid   NOT NULL PRIMARY KEY,
    parent_id  uuid   REFERENCES projects (id),
    root_id    uuid   NOT NULL CHECK (root_id = coalesce(parent_id, id)),
    name       text   COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE INDEX projects_root ON projects (root_id, id);

CREATE TABLE tokens (
    id            uuid   NOT NULL PRIMARY KEY,
    project_id    uuid   NOT NULL REFERENCES projects (id),
    root_id       uuid   NOT NULL,
    name          text   COLLATE "C" NOT NULL,
    permissions   text   COLLATE "C" NOT NULL,
    secret_hash   bytea  NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    sealed_secret bytea  NOT NULL,
    created_at    bigint NOT NULL,
    updated_at    bigint NOT NULL,
    expires_at    bigint,
    last_used_at  bigint
) WITH (fillfactor = 80); -- room for the next version of a row on its own page, so that no index changes with it

CREATE INDEX tokens_root ON tokens (root_id, id);
CREATE INDEX tokens_subproject ON tokens (project_id, id) WHERE project_id <> root_id;

CREATE TABLE retired_secrets (
    secret_hash bytea  NOT NULL PRIMARY KEY CHECK (length(secret_hash) = 32),
    token_id    uuid   NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    valid_until bigint NOT NULL
);

CREATE INDEX retired_secrets_token ON retired_secrets (token_id);

-- token_id and secret_hash: which token asked for the change, and with which secret.
CREATE TABLE idempotent_answers (
    project_id  uuid   NOT NULL REFERENCES projects (id),
    key         text   COLLATE "C" NOT NULL,
    fingerprint bytea  NOT NULL CHECK (length(fingerprint) = 32),
    answer      bytea  NOT NULL,
    expires_at  bigint NOT NULL,
    token_id    uuid,
    secret_hash bytea,
    PRIMARY KEY (project_id, key)
);

CREATE INDEX idempotent_answers_expiry ON idempotent_answers (expires_at);

-- No foreign keys: an event outlives what it is about.
CREATE TABLE audit_events (
    id               uuid   NOT NULL PRIMARY KEY,
    at               bigint NOT NULL,
    action           text   COLLATE "C" NOT NULL,
    root_id          uuid   NOT NULL,
    project_id       uuid   NOT NULL,
    token_id         uuid,
    actor_project_id uuid,
    actor_token_id   uuid,
    address          text   COLLATE "C" NOT NULL,
    request_id       text   COLLATE "C" NOT NULL,
    changes          text   COLLATE "C" NOT NULL
);

CREATE INDEX audit_events_root ON audit_events (root_id, id);
CREATE INDEX audit_events_subproject ON audit_events (project_id, id) WHERE project_id <> root_id;
CREATE INDEX audit_events_token ON audit_events (token_id, id) WHERE token_id IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION audit_events_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER audit_events_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_are_final();

CREATE TABLE settings (
    name  text  COLLATE "C" NOT NULL PRIMARY KEY,
    value bytea NOT NULL
);
