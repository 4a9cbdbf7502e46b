-- Who is told of jobs over HTTP, and what was, or is still to be, told them.
CREATE TABLE webhooks (
    id           TEXT PRIMARY KEY NOT NULL,      -- sorts by time of creation
    url          TEXT NOT NULL,
    events       TEXT NOT NULL,
    secret       BLOB NOT NULL,
    metadata     TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    disabled_at  INTEGER
);

CREATE TABLE webhook_deliveries (
    id               TEXT PRIMARY KEY NOT NULL,  -- sorts by time of creation; the header webhook-id
    webhook_id       TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event            TEXT NOT NULL,
    -- No foreign key: what was told outlives the job, and never stands in the way of deleting it.
    job_id           TEXT,
    body             TEXT NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts         INTEGER NOT NULL DEFAULT 0,
    tries            INTEGER NOT NULL DEFAULT 0, -- attempts since it was last asked for: the backoff goes by them
    response_status  INTEGER,
    error            TEXT,
    next_attempt_at  INTEGER,
    created_at       INTEGER NOT NULL,
    delivered_at     INTEGER,
    CHECK ((next_attempt_at IS NOT NULL) = (status = 'pending')),
    CHECK ((delivered_at IS NOT NULL) = (status = 'delivered'))
);

CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_attempt_at)
    WHERE status = 'pending';
