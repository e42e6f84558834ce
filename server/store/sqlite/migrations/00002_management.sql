-- Paging by account, expiry, rotation, last use, idempotency keys and the audit trail.
-- It only adds.

-- +goose Up

-- root_id is the project at the top: the owner's parent, or the owner itself. It selects an account with its subprojects
-- through one index, in the order of the ids.
ALTER TABLE projects ADD COLUMN root_id BLOB;
UPDATE projects SET root_id = coalesce(parent_id, id);
CREATE INDEX projects_root ON projects (root_id, id);

ALTER TABLE tokens ADD COLUMN root_id BLOB;
UPDATE tokens SET root_id = (SELECT projects.root_id FROM projects WHERE projects.id = tokens.project_id);
ALTER TABLE tokens ADD COLUMN expires_at INTEGER;
ALTER TABLE tokens ADD COLUMN last_used_at INTEGER;
CREATE INDEX tokens_root ON tokens (root_id, id);

CREATE TABLE retired_secrets (
    secret_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(secret_hash) = 32),
    token_id    BLOB    NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    valid_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX retired_secrets_token ON retired_secrets (token_id);

CREATE TABLE idempotent_answers (
    project_id  BLOB    NOT NULL REFERENCES projects (id),
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    answer      BLOB    NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (project_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotent_answers_expiry ON idempotent_answers (expires_at);

-- No foreign keys: an event outlives what it is about.
CREATE TABLE audit_events (
    id               BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    at               INTEGER NOT NULL,
    action           TEXT    NOT NULL,
    root_id          BLOB    NOT NULL,
    project_id       BLOB    NOT NULL,
    token_id         BLOB,
    actor_project_id BLOB,
    actor_token_id   BLOB,
    address          TEXT    NOT NULL,
    request_id       TEXT    NOT NULL,
    changes          TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_events_root ON audit_events (root_id, id);
CREATE INDEX audit_events_project ON audit_events (project_id, id);
CREATE INDEX audit_events_token ON audit_events (token_id, id) WHERE token_id IS NOT NULL;

-- +goose StatementBegin
CREATE TRIGGER audit_events_are_final BEFORE UPDATE ON audit_events
BEGIN
    SELECT raise(ABORT, 'the audit trail is append-only');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_events_stay BEFORE DELETE ON audit_events
BEGIN
    SELECT raise(ABORT, 'the audit trail is append-only');
END;
-- +goose StatementEnd
