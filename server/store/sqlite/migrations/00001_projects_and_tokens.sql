-- Ids are 16 bytes, times are microseconds since 1970 in UTC, a permission set is its sorted names joined by commas.

-- +goose Up
PRAGMA application_id = 1953200498; -- "tkwr": how a tokenwire database is told from any other SQLite file

CREATE TABLE projects (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    parent_id  BLOB    REFERENCES projects (id),
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX projects_parent ON projects (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE tokens (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project_id    BLOB    NOT NULL REFERENCES projects (id),
    name          TEXT    NOT NULL,
    permissions   TEXT    NOT NULL,
    secret_hash   BLOB    NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    sealed_secret BLOB    NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_project ON tokens (project_id);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
