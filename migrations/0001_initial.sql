-- The whole state of a service, but for the bytes of datasets and weights, which rows name by
-- sha256. Times are epoch milliseconds, JSON is text, booleans are 0 or 1. A CHECK here mirrors a
-- rule of src/jobs.

CREATE TABLE datasets (
    id          TEXT PRIMARY KEY NOT NULL,      -- sorts by time of creation
    name        TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL,
    shape       TEXT NOT NULL,
    dtype       TEXT NOT NULL,
    range_min   REAL NOT NULL,
    range_max   REAL NOT NULL,
    classes     INTEGER,
    splits      TEXT NOT NULL,
    sha256      TEXT NOT NULL,
    bytes       INTEGER NOT NULL,
    created_at  INTEGER NOT NULL
);

CREATE TABLE jobs (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,   -- order of arrival, of queue and list
    id               TEXT NOT NULL UNIQUE,
    name             TEXT NOT NULL,
    task             TEXT NOT NULL CHECK (task IN ('train', 'evaluate')),
    kind             TEXT NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('queued', 'running', 'pausing', 'paused',
                                                     'canceling', 'succeeded', 'failed',
                                                     'canceled')),
    phase            TEXT,
    attempt          INTEGER NOT NULL DEFAULT 1,
    retry_of         TEXT,
    -- No foreign key: a finished job outlives its dataset. Inserting a job and deleting a dataset
    -- check each other.
    dataset_id       TEXT NOT NULL,
    dataset_name     TEXT NOT NULL,
    model            TEXT NOT NULL,
    training         TEXT NOT NULL,
    init_from        TEXT,
    metadata         TEXT NOT NULL,
    progress         TEXT NOT NULL,
    eta_seconds      REAL,
    metrics          TEXT NOT NULL DEFAULT '{}',
    device           TEXT,
    error            TEXT,
    result           TEXT,
    created_at       INTEGER NOT NULL,
    started_at       INTEGER,
    finished_at      INTEGER,
    lease_owner      TEXT,
    lease_token      INTEGER NOT NULL DEFAULT 0,          -- the fence: grows with every claim
    lease_until      INTEGER,
    deaths           INTEGER NOT NULL DEFAULT 0,          -- workers lost since the last checkpoint
    last_checkpoint  INTEGER NOT NULL DEFAULT 0,          -- its number; none is used again
    idempotency_key  TEXT UNIQUE,
    request_digest   TEXT,
    CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CHECK (lease_owner IS NULL OR status IN ('running', 'pausing', 'canceling')),
    CHECK ((finished_at IS NOT NULL) = (status IN ('succeeded', 'failed', 'canceled'))),
    CHECK (status <> 'succeeded' OR result IS NOT NULL),
    CHECK (status <> 'failed' OR error IS NOT NULL),
    CHECK ((idempotency_key IS NULL) = (request_digest IS NULL))
);

CREATE INDEX jobs_by_status  ON jobs (status, seq);
CREATE INDEX jobs_by_name    ON jobs (name, seq);
CREATE INDEX jobs_by_kind    ON jobs (kind, seq);
CREATE INDEX jobs_by_dataset ON jobs (dataset_id);
CREATE INDEX jobs_by_lease   ON jobs (lease_owner);

CREATE TABLE job_transitions (
    job_id    TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL,
    status    TEXT NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (job_id, position)
);

CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,            -- what a client's Last-Event-ID names
    job_id  TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    kind    TEXT NOT NULL,
    data    TEXT NOT NULL,
    at      INTEGER NOT NULL
);

CREATE INDEX events_by_job ON events (job_id, id);

CREATE TABLE metrics (
    job_id  TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    key     TEXT NOT NULL,
    step    INTEGER NOT NULL,
    epoch   INTEGER NOT NULL,
    value   REAL,                                         -- NULL: it was not a finite number
    at      INTEGER NOT NULL,
    PRIMARY KEY (job_id, key, step)
);

CREATE TABLE checkpoints (
    job_id      TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    step        INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    sha256      TEXT NOT NULL,
    metrics     TEXT NOT NULL,
    best        INTEGER NOT NULL CHECK (best IN (0, 1)),
    position    TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (job_id, number)
);

CREATE INDEX checkpoints_by_sha256 ON checkpoints (sha256);

-- Outlives the versions of its name, so that a version number never means two things.
CREATE TABLE models (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL UNIQUE,
    next_version  INTEGER NOT NULL
);

CREATE TABLE model_versions (
    name          TEXT NOT NULL REFERENCES models (name),
    version       INTEGER NOT NULL,
    kind          TEXT NOT NULL,
    spec          TEXT NOT NULL,
    job_id        TEXT NOT NULL,
    dataset       TEXT NOT NULL,
    input_shape   TEXT NOT NULL,
    code_shape    TEXT,
    parameters    INTEGER NOT NULL,
    capabilities  TEXT NOT NULL,
    metrics       TEXT NOT NULL,
    data          TEXT NOT NULL,
    sha256        TEXT NOT NULL,
    bytes         INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE INDEX model_versions_by_sha256 ON model_versions (sha256);

CREATE TABLE model_aliases (
    name     TEXT NOT NULL,
    alias    TEXT NOT NULL,
    version  INTEGER NOT NULL,
    PRIMARY KEY (name, alias),
    FOREIGN KEY (name, version) REFERENCES model_versions (name, version)
);
