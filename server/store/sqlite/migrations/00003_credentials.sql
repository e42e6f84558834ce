-- A rotation that is asked for again with the secret that it has replaced; and rows that an older version adds beside a newer one.
-- It only adds.

-- +goose Up

-- Which token asked for the change, and with which secret.
ALTER TABLE idempotent_answers ADD COLUMN token_id BLOB;
ALTER TABLE idempotent_answers ADD COLUMN secret_hash BLOB;

-- Versions before root_id leave it out.
-- +goose StatementBegin
CREATE TRIGGER projects_have_roots AFTER INSERT ON projects WHEN new.root_id IS NULL
BEGIN
    UPDATE projects SET root_id = coalesce(parent_id, id) WHERE id = new.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER tokens_have_roots AFTER INSERT ON tokens WHEN new.root_id IS NULL
BEGIN
    UPDATE tokens SET root_id = (SELECT root_id FROM projects WHERE id = new.project_id) WHERE id = new.id;
END;
-- +goose StatementEnd

UPDATE projects SET root_id = coalesce(parent_id, id) WHERE root_id IS NULL;
UPDATE tokens SET root_id = (SELECT root_id FROM projects WHERE projects.id = tokens.project_id) WHERE root_id IS NULL;
