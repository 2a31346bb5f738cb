-- Columns that came after their tables, as {table}.{column}; added where they are missing.

-- name: protected_branches.settings
ALTER TABLE protected_branches
ADD COLUMN settings TEXT NOT NULL DEFAULT '{"required_pull_request_reviews": {}}';

-- name: pulls.merged_by
ALTER TABLE pulls ADD COLUMN merged_by TEXT;

-- name: pulls.merge_commit_sha
ALTER TABLE pulls ADD COLUMN merge_commit_sha TEXT;

-- name: pulls.auto_merge_by
ALTER TABLE pulls ADD COLUMN auto_merge_by TEXT;

-- name: pulls.auto_merge_method
ALTER TABLE pulls ADD COLUMN auto_merge_method TEXT;
