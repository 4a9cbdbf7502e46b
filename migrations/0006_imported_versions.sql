-- A version that was imported has no job and no data set. A column that must be there cannot be changed
-- into one that need not, so the table is made anew; the aliases, which refer to it, step aside meanwhile.
CREATE TABLE aliases_aside AS SELECT name, alias, version FROM model_aliases;
DELETE FROM model_aliases;

CREATE TABLE model_versions_anew (
    name          TEXT NOT NULL REFERENCES models (name),
    version       INTEGER NOT NULL,
    kind          TEXT NOT NULL,
    spec          TEXT NOT NULL,
    job_id        TEXT,
    dataset       TEXT,
    input_shape   TEXT NOT NULL,
    code_shape    TEXT,
    parameters    INTEGER NOT NULL,
    capabilities  TEXT NOT NULL,
    metrics       TEXT NOT NULL,
    data          TEXT NOT NULL,
    sha256        TEXT NOT NULL,
    bytes         INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (name, version),
    CHECK ((job_id IS NULL) = (dataset IS NULL))
);

INSERT INTO model_versions_anew (name, version, kind, spec, job_id, dataset, input_shape, code_shape,
                                 parameters, capabilities, metrics, data, sha256, bytes, created_at)
SELECT name, version, kind, spec, job_id, dataset, input_shape, code_shape,
       parameters, capabilities, metrics, data, sha256, bytes, created_at
FROM model_versions;

DROP TABLE model_versions;
ALTER TABLE model_versions_anew RENAME TO model_versions;
CREATE INDEX model_versions_by_sha256 ON model_versions (sha256);

INSERT INTO model_aliases (name, alias, version) SELECT name, alias, version FROM aliases_aside;
DROP TABLE aliases_aside;
