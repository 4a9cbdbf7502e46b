-- How a version was made, kept with it whatever becomes of its job; and what a job was told that may not be meant.
ALTER TABLE model_versions ADD COLUMN provenance TEXT NOT NULL DEFAULT '{}';
ALTER TABLE jobs ADD COLUMN warnings TEXT NOT NULL DEFAULT '[]';

UPDATE model_versions SET provenance = (
    SELECT json_object(
        'training', json(j.training),
        'init_from', json(j.init_from),
        'metadata', json(j.metadata),
        'dataset_sha256', (SELECT d.sha256 FROM datasets d WHERE d.id = j.dataset_id)
    )
    FROM jobs j WHERE j.id = model_versions.job_id
)
WHERE job_id IN (SELECT id FROM jobs);
