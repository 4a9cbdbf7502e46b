-- An evaluation is a job too: what it measures. NULL for training.
ALTER TABLE jobs ADD COLUMN evaluation TEXT;
