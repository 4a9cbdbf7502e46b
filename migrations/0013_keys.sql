-- Who may do what, and who did it.
CREATE TABLE api_keys (
    id            TEXT PRIMARY KEY NOT NULL,  -- sorts by time of creation
    name          TEXT NOT NULL UNIQUE,
    hash          BLOB NOT NULL,              -- of the secret, which nobody but its owner has
    granted       TEXT NOT NULL,              -- scopes, names, limits, expiry
    created_by    TEXT,                       -- no foreign key: the one who made it may go first
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER
);

-- Whose key made it; kept when the key is gone.
ALTER TABLE jobs ADD COLUMN key_id TEXT;
ALTER TABLE datasets ADD COLUMN key_id TEXT;

CREATE INDEX jobs_by_key ON jobs (key_id, status) WHERE key_id IS NOT NULL;
CREATE INDEX datasets_by_key ON datasets (key_id) WHERE key_id IS NOT NULL;

CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    at          INTEGER NOT NULL,
    key_id      TEXT,     -- null: no key was asked for, or none was known
    key_name    TEXT,
    address     TEXT,     -- of the peer, or as a trusted proxy says
    request_id  TEXT NOT NULL,
    operation   TEXT NOT NULL,
    object      TEXT,     -- the path, as it was asked
    status      INTEGER NOT NULL,
    code        TEXT      -- of the problem, if it was one
);

CREATE INDEX audit_by_time ON audit (at);

-- Rows are added, and dropped once they are old; none is ever changed.
CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is only added to');
END;
