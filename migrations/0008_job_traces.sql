-- The span of the client's that asked for the job (W3C traceparent): the job's trace goes on from it.
ALTER TABLE jobs ADD COLUMN traceparent TEXT;
