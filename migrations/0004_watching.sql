-- What the job's watchers may have missed, and pictures of what the model makes while it learns.
ALTER TABLE jobs ADD COLUMN pruned_events INTEGER NOT NULL DEFAULT 0;  -- the greatest id that was dropped

CREATE TABLE samples (
    job_id      TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    epoch       INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    sha256      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (job_id, epoch)
);

CREATE INDEX samples_by_sha256 ON samples (sha256);

-- The least and the greatest value of a stretch of steps, without a look at the rows.
CREATE INDEX metrics_by_value ON metrics (job_id, key, step, value);
