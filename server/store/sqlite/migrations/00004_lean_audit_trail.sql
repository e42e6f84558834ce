-- Each change writes the audit trail. The index by project is for subprojects only: everything of a top-level project has it as its
-- root, and is found by that.

-- +goose Up
CREATE INDEX audit_events_subproject ON audit_events (project_id, id) WHERE project_id <> root_id;
DROP INDEX audit_events_project;
