-- The local forge's state. Times are RFC 3339 text, lists and maps are JSON text.

CREATE TABLE IF NOT EXISTS users (
    id    INTEGER PRIMARY KEY,
    login TEXT NOT NULL UNIQUE COLLATE NOCASE
) STRICT;

CREATE TABLE IF NOT EXISTS apps (
    id          INTEGER PRIMARY KEY,
    slug        TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name        TEXT NOT NULL,
    permissions TEXT NOT NULL,
    public_key  TEXT NOT NULL,
    created_at  TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS installations (
    id         INTEGER PRIMARY KEY,
    app_id     INTEGER NOT NULL REFERENCES apps (id),
    account    TEXT NOT NULL COLLATE NOCASE,
    created_at TEXT NOT NULL,
    UNIQUE (app_id, account)
) STRICT;

-- The token itself is never stored: only its sha256.
CREATE TABLE IF NOT EXISTS tokens (
    hash            TEXT PRIMARY KEY,
    installation_id INTEGER NOT NULL REFERENCES installations (id),
    app_id          INTEGER NOT NULL REFERENCES apps (id),
    repositories    TEXT NOT NULL,
    permissions     TEXT NOT NULL,
    expires_at      TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS repositories (
    id             INTEGER PRIMARY KEY,
    owner          TEXT NOT NULL COLLATE NOCASE,
    name           TEXT NOT NULL COLLATE NOCASE,
    description    TEXT NOT NULL,
    private        INTEGER NOT NULL,
    default_branch TEXT NOT NULL,
    created_at     TEXT NOT NULL,
    last_number    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (owner, name)
) STRICT;

CREATE TABLE IF NOT EXISTS collaborators (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    login         TEXT NOT NULL COLLATE NOCASE,
    permission    TEXT NOT NULL,
    PRIMARY KEY (repository_id, login)
) STRICT;

CREATE TABLE IF NOT EXISTS protected_branches (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    branch        TEXT NOT NULL,
    PRIMARY KEY (repository_id, branch)
) STRICT;

-- Issues and pull requests share one sequence of numbers in a repository, as on GitHub.
CREATE TABLE IF NOT EXISTS issues (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    number        INTEGER NOT NULL,
    title         TEXT NOT NULL,
    body          TEXT NOT NULL,
    author        TEXT NOT NULL,
    state         TEXT NOT NULL,
    labels        TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL,
    closed_at     TEXT,
    UNIQUE (repository_id, number)
) STRICT;

CREATE TABLE IF NOT EXISTS pulls (
    issue_id   INTEGER PRIMARY KEY REFERENCES issues (id),
    head_ref   TEXT NOT NULL,
    base_ref   TEXT NOT NULL,
    head_sha   TEXT NOT NULL,
    base_sha   TEXT NOT NULL,
    draft      INTEGER NOT NULL,
    auto_merge INTEGER NOT NULL,
    merged_at  TEXT
) STRICT;

CREATE TABLE IF NOT EXISTS comments (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    number        INTEGER NOT NULL,
    author        TEXT NOT NULL,
    body          TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS reviews (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    number        INTEGER NOT NULL,
    author        TEXT NOT NULL,
    state         TEXT NOT NULL,
    commit_id     TEXT NOT NULL,
    body          TEXT NOT NULL,
    submitted_at  TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS check_runs (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    app_id        INTEGER NOT NULL REFERENCES apps (id),
    name          TEXT NOT NULL,
    head_sha      TEXT NOT NULL,
    status        TEXT NOT NULL,
    conclusion    TEXT,
    external_id   TEXT NOT NULL,
    details_url   TEXT,
    title         TEXT,
    summary       TEXT,
    started_at    TEXT NOT NULL,
    completed_at  TEXT
) STRICT;

CREATE INDEX IF NOT EXISTS comments_of_thread ON comments (repository_id, number);
CREATE INDEX IF NOT EXISTS reviews_of_pull ON reviews (repository_id, number);
CREATE INDEX IF NOT EXISTS check_runs_of_commit ON check_runs (repository_id, head_sha);

CREATE TABLE IF NOT EXISTS alarms (
    id   INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    who  TEXT NOT NULL,
    verb TEXT NOT NULL,
    path TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS rulesets (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    document      TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL
) STRICT;

-- Where each branch was when its pushes were last told of.
CREATE TABLE IF NOT EXISTS heads (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    branch        TEXT NOT NULL,
    sha           TEXT NOT NULL,
    PRIMARY KEY (repository_id, branch)
) STRICT;

CREATE TABLE IF NOT EXISTS review_comments (
    id            INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    number        INTEGER NOT NULL,
    author        TEXT NOT NULL,
    body          TEXT NOT NULL,
    path          TEXT NOT NULL,
    line          INTEGER,
    commit_id     TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL
) STRICT;

-- A webhook of an App or of a repository: one of app_id and repository_id is null. No id comes
-- again, or a new hook would show what was delivered to a former one.
CREATE TABLE IF NOT EXISTS hooks (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    app_id        INTEGER UNIQUE REFERENCES apps (id),
    repository_id INTEGER REFERENCES repositories (id),
    url           TEXT NOT NULL,
    secret        TEXT NOT NULL,
    insecure_ssl  INTEGER NOT NULL,
    events        TEXT NOT NULL,
    active        INTEGER NOT NULL,
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL
) STRICT;

-- `state` is waiting, sending or done.
CREATE TABLE IF NOT EXISTS deliveries (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    hook_id          INTEGER NOT NULL,
    guid             TEXT NOT NULL,
    event            TEXT NOT NULL,
    action           TEXT,
    repository_id    INTEGER,
    installation_id  INTEGER,
    payload          TEXT NOT NULL,
    redelivery       INTEGER NOT NULL,
    state            TEXT NOT NULL,
    delivered_at     TEXT NOT NULL,
    duration         REAL NOT NULL,
    status           TEXT NOT NULL,
    status_code      INTEGER NOT NULL,
    request_headers  TEXT NOT NULL,
    response_headers TEXT NOT NULL,
    response_body    TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS deliveries_of_hook ON deliveries (hook_id, state);
