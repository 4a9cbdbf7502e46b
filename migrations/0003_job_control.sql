-- Stop (finish early and keep), priorities, and the device that a job will occupy.
ALTER TABLE jobs ADD COLUMN stop_requested INTEGER NOT NULL DEFAULT 0 CHECK (stop_requested IN (0, 1));
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN place TEXT NOT NULL DEFAULT 'cpu';        -- `cpu` or `cuda:N`

CREATE INDEX jobs_in_line ON jobs (status, priority DESC, seq);

-- How many jobs a device runs is asked at every claim.
CREATE INDEX jobs_on_device ON jobs (place) WHERE lease_owner IS NOT NULL;
