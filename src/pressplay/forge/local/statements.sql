-- Every statement of the local forge, by name. One that adds or changes a row answers that row.

-- name: add_user
INSERT INTO users (login) VALUES (:login) ON CONFLICT (login) DO NOTHING RETURNING *;

-- name: find_user
SELECT * FROM users WHERE login = :login;

-- name: add_app
INSERT INTO apps (slug, name, permissions, public_key, created_at)
VALUES (:slug, :name, :permissions, :public_key, :now) RETURNING *;

-- name: find_app
SELECT * FROM apps WHERE id = :id;

-- name: find_app_by_slug
SELECT * FROM apps WHERE slug = :slug;

-- name: list_apps
SELECT * FROM apps ORDER BY id;

-- name: change_app_permissions
UPDATE apps SET permissions = :permissions WHERE id = :id RETURNING *;

-- name: change_app_key
UPDATE apps SET public_key = :public_key WHERE id = :id RETURNING *;

-- name: add_installation
INSERT INTO installations (app_id, account, created_at) VALUES (:app_id, :account, :now)
ON CONFLICT (app_id, account) DO NOTHING RETURNING *;

-- name: find_installation
SELECT * FROM installations WHERE id = :id;

-- name: find_installation_for_account
SELECT * FROM installations WHERE app_id = :app_id AND account = :account;

-- name: add_token
INSERT INTO tokens (hash, installation_id, app_id, repositories, permissions, expires_at)
VALUES (:hash, :installation_id, :app_id, :repositories, :permissions, :expires_at) RETURNING *;

-- name: find_token
SELECT * FROM tokens WHERE hash = :hash;

-- name: drop_expired_tokens
DELETE FROM tokens WHERE expires_at <= :now RETURNING *;

-- name: add_repository
INSERT INTO repositories (owner, name, description, private, default_branch, created_at)
VALUES (:owner, :name, :description, :private, :default_branch, :now) RETURNING *;

-- name: find_repository
SELECT * FROM repositories WHERE owner = :owner AND name = :name;

-- name: list_repositories
SELECT * FROM repositories ORDER BY id;

-- name: list_repositories_of
SELECT * FROM repositories WHERE owner = :owner ORDER BY id;

-- name: take_number
UPDATE repositories SET last_number = last_number + 1 WHERE id = :repository_id RETURNING *;

-- name: set_collaborator
INSERT INTO collaborators (repository_id, login, permission)
VALUES (:repository_id, :login, :permission)
ON CONFLICT (repository_id, login) DO UPDATE SET permission = excluded.permission RETURNING *;

-- name: find_collaborator
SELECT * FROM collaborators WHERE repository_id = :repository_id AND login = :login;

-- name: drop_collaborator
DELETE FROM collaborators WHERE repository_id = :repository_id AND login = :login RETURNING *;

-- name: protect_branch
INSERT INTO protected_branches (repository_id, branch, settings)
VALUES (:repository_id, :branch, :settings)
ON CONFLICT (repository_id, branch) DO UPDATE SET settings = excluded.settings RETURNING *;

-- name: unprotect_branch
DELETE FROM protected_branches WHERE repository_id = :repository_id AND branch = :branch
RETURNING *;

-- name: list_protected_branches
SELECT * FROM protected_branches WHERE repository_id = :repository_id ORDER BY branch;

-- name: add_issue
INSERT INTO issues
    (repository_id, number, title, body, author, state, labels, created_at, updated_at)
VALUES (:repository_id, :number, :title, :body, :author, 'open', :labels, :now, :now)
RETURNING *;

-- name: find_issue
SELECT * FROM issues WHERE repository_id = :repository_id AND number = :number;

-- name: list_issues
SELECT * FROM issues
WHERE repository_id = :repository_id AND (:state = 'all' OR state = :state)
ORDER BY number DESC;

-- name: change_issue
UPDATE issues
SET title = :title, body = :body, state = :state, closed_at = :closed_at, updated_at = :now
WHERE id = :id RETURNING *;

-- name: change_labels
UPDATE issues SET labels = :labels, updated_at = :now WHERE id = :id RETURNING *;

-- name: touch_issue
UPDATE issues SET updated_at = :now WHERE id = :id RETURNING *;

-- name: add_pull
INSERT INTO pulls (issue_id, head_ref, base_ref, head_sha, base_sha, draft, auto_merge)
VALUES (:issue_id, :head_ref, :base_ref, :head_sha, :base_sha, :draft, 0) RETURNING *;

-- name: find_pull
SELECT issues.*, pulls.* FROM issues JOIN pulls ON pulls.issue_id = issues.id
WHERE repository_id = :repository_id AND number = :number;

-- name: list_pulls
SELECT issues.*, pulls.* FROM issues JOIN pulls ON pulls.issue_id = issues.id
WHERE repository_id = :repository_id
  AND (:state = 'all' OR state = :state)
  AND (:head_ref = '' OR head_ref = :head_ref)
  AND (:base_ref = '' OR base_ref = :base_ref)
ORDER BY number DESC;

-- name: move_pull
UPDATE pulls SET head_sha = :head_sha, base_sha = :base_sha WHERE issue_id = :issue_id
RETURNING *;

-- name: mark_merged
UPDATE pulls
SET merged_at = :now, merged_by = :merged_by, merge_commit_sha = :merge_commit_sha, auto_merge = 0
WHERE issue_id = :issue_id RETURNING *;

-- name: set_auto_merge
UPDATE pulls
SET auto_merge = :auto_merge, auto_merge_by = :auto_merge_by, auto_merge_method = :auto_merge_method
WHERE issue_id = :issue_id RETURNING *;

-- name: set_draft
UPDATE pulls SET draft = :draft WHERE issue_id = :issue_id RETURNING *;

-- name: add_comment
INSERT INTO comments (repository_id, number, author, body, created_at, updated_at)
VALUES (:repository_id, :number, :author, :body, :now, :now) RETURNING *;

-- name: find_comment
SELECT * FROM comments WHERE repository_id = :repository_id AND id = :id;

-- name: list_comments
SELECT * FROM comments WHERE repository_id = :repository_id AND number = :number ORDER BY id;

-- name: change_comment
UPDATE comments SET body = :body, updated_at = :now WHERE id = :id RETURNING *;

-- name: add_review
INSERT INTO reviews (repository_id, number, author, state, commit_id, body, submitted_at)
VALUES (:repository_id, :number, :author, :state, :commit_id, :body, :now) RETURNING *;

-- name: list_reviews
SELECT * FROM reviews WHERE repository_id = :repository_id AND number = :number ORDER BY id;

-- name: add_check_run
INSERT INTO check_runs
    (repository_id, app_id, name, head_sha, status, conclusion, external_id, details_url, title,
     summary, started_at, completed_at)
VALUES
    (:repository_id, :app_id, :name, :head_sha, :status, :conclusion, :external_id, :details_url,
     :title, :summary, :started_at, :completed_at)
RETURNING *;

-- name: find_check_run
SELECT * FROM check_runs WHERE repository_id = :repository_id AND id = :id;

-- name: change_check_run
UPDATE check_runs
SET name = :name, status = :status, conclusion = :conclusion, external_id = :external_id,
    details_url = :details_url, title = :title, summary = :summary, completed_at = :completed_at
WHERE id = :id RETURNING *;

-- name: list_latest_check_runs
SELECT * FROM check_runs
WHERE id IN (
    SELECT max(id) FROM check_runs
    WHERE repository_id = :repository_id AND head_sha = :head_sha
    GROUP BY app_id, name
)
ORDER BY id;

-- name: add_alarm
INSERT INTO alarms (time, who, verb, path) VALUES (:now, :who, :verb, :path) RETURNING *;

-- name: list_alarms
SELECT * FROM alarms ORDER BY id;

-- name: find_protected_branch
SELECT * FROM protected_branches WHERE repository_id = :repository_id AND branch = :branch;

-- name: add_ruleset
INSERT INTO rulesets (repository_id, document, created_at, updated_at)
VALUES (:repository_id, :document, :now, :now) RETURNING *;

-- name: change_ruleset
UPDATE rulesets SET document = :document, updated_at = :now WHERE id = :id RETURNING *;

-- name: find_ruleset
SELECT * FROM rulesets WHERE repository_id = :repository_id AND id = :id;

-- name: list_rulesets
SELECT * FROM rulesets WHERE repository_id = :repository_id ORDER BY id;

-- name: drop_ruleset
DELETE FROM rulesets WHERE repository_id = :repository_id AND id = :id RETURNING *;

-- name: list_heads
SELECT * FROM heads WHERE repository_id = :repository_id ORDER BY branch;

-- name: set_head
INSERT INTO heads (repository_id, branch, sha) VALUES (:repository_id, :branch, :sha)
ON CONFLICT (repository_id, branch) DO UPDATE SET sha = excluded.sha RETURNING *;

-- name: drop_head
DELETE FROM heads WHERE repository_id = :repository_id AND branch = :branch RETURNING *;

-- name: add_review_comment
INSERT INTO review_comments
    (repository_id, number, author, body, path, line, commit_id, created_at, updated_at)
VALUES
    (:repository_id, :number, :author, :body, :path, :line, :commit_id, :now, :now)
RETURNING *;

-- name: find_review_comment
SELECT * FROM review_comments WHERE repository_id = :repository_id AND id = :id;

-- name: list_review_comments
SELECT * FROM review_comments
WHERE repository_id = :repository_id AND number = :number ORDER BY id;

-- name: add_hook
INSERT INTO hooks
    (app_id, repository_id, url, secret, insecure_ssl, events, active, created_at, updated_at)
VALUES
    (:app_id, :repository_id, :url, :secret, :insecure_ssl, :events, :active, :now, :now)
RETURNING *;

-- name: change_hook
UPDATE hooks
SET url = :url, secret = :secret, insecure_ssl = :insecure_ssl, events = :events, active = :active,
    updated_at = :now
WHERE id = :id RETURNING *;

-- name: find_hook
SELECT * FROM hooks WHERE id = :id;

-- name: find_hook_of_app
SELECT * FROM hooks WHERE app_id = :app_id;

-- name: list_hooks_of_repository
SELECT * FROM hooks WHERE repository_id = :repository_id ORDER BY id;

-- name: list_hooks_that_hear
SELECT hooks.* FROM hooks
LEFT JOIN installations ON installations.app_id = hooks.app_id AND installations.account = :account
WHERE hooks.active = 1 AND (hooks.repository_id = :repository_id OR installations.id IS NOT NULL)
ORDER BY hooks.id;

-- name: drop_hook
DELETE FROM hooks WHERE id = :id RETURNING *;

-- name: add_delivery
INSERT INTO deliveries
    (hook_id, guid, event, action, repository_id, installation_id, payload, redelivery, state,
     delivered_at, duration, status, status_code, request_headers, response_headers, response_body)
VALUES
    (:hook_id, :guid, :event, :action, :repository_id, :installation_id, :payload, :redelivery,
     'waiting', :now, 0, 'pending', 0, '{}', '{}', '')
RETURNING *;

-- name: find_delivery
SELECT * FROM deliveries WHERE id = :id AND hook_id = :hook_id;

-- name: next_delivery
SELECT * FROM deliveries WHERE hook_id = :hook_id AND state = 'waiting' ORDER BY id LIMIT 1;

-- name: list_waiting_hooks
SELECT DISTINCT hook_id AS id FROM deliveries WHERE state = 'waiting' ORDER BY hook_id;

-- name: list_deliveries
SELECT * FROM deliveries
WHERE hook_id = :hook_id AND id < :before ORDER BY id DESC LIMIT :count;

-- name: begin_delivery
UPDATE deliveries
SET state = 'sending', delivered_at = :now, request_headers = :request_headers
WHERE id = :id RETURNING *;

-- name: end_delivery
UPDATE deliveries
SET state = 'done', duration = :duration, status = :status, status_code = :status_code,
    response_headers = :response_headers, response_body = :response_body
WHERE id = :id RETURNING *;

-- name: fail_interrupted_deliveries
UPDATE deliveries SET state = 'done', status = :status WHERE state = 'sending' RETURNING *;

-- name: drop_old_deliveries
DELETE FROM deliveries WHERE state = 'done' AND delivered_at < :before RETURNING *;
