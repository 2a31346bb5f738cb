-- The record of all objects. Each statement is found by its name; see sqlite.py.
-- `version` stands apart from `body`, so that a change of one row writes no body.

-- name: make_tables
CREATE TABLE objects (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (kind, namespace, name)
);
CREATE TABLE versions (
    id INTEGER PRIMARY KEY,
    version INTEGER NOT NULL
);
CREATE TABLE object_rows (
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (id, name)
) WITHOUT ROWID;
CREATE TABLE store (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    version INTEGER NOT NULL
);
INSERT INTO store VALUES (1, 0);
PRAGMA user_version = 1;

-- name: read_store_version
SELECT version FROM store;

-- name: read_objects
SELECT id, kind, namespace, name, version, body FROM objects JOIN versions USING (id) ORDER BY id;

-- name: read_rows
SELECT id, name, body FROM object_rows;

-- name: put_body
INSERT INTO objects (id, kind, namespace, name, body) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET body = excluded.body;

-- name: put_version
INSERT INTO versions (id, version) VALUES (?, ?)
ON CONFLICT (id) DO UPDATE SET version = excluded.version;

-- name: put_row
INSERT INTO object_rows (id, name, body) VALUES (?, ?, ?)
ON CONFLICT (id, name) DO UPDATE SET body = excluded.body;

-- name: remove_row
DELETE FROM object_rows WHERE id = ? AND name = ?;

-- name: remove_rows
DELETE FROM object_rows WHERE id = ?;

-- name: remove_version
DELETE FROM versions WHERE id = ?;

-- name: remove_object
DELETE FROM objects WHERE id = ?;

-- name: put_store_version
UPDATE store SET version = ?;
