-- What is known of each column of a data set, over all its splits; which splits have it is in `splits`.
-- The values are files in the data set's folder, named by split and role.

CREATE TABLE dataset_columns (
    dataset_id  TEXT NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    role        TEXT NOT NULL,
    dtype       TEXT NOT NULL,
    shape       TEXT NOT NULL,      -- of what one row has; [] for one value
    range_min   REAL,               -- of numbers
    range_max   REAL,
    classes     INTEGER,            -- of codes
    PRIMARY KEY (dataset_id, role)
) WITHOUT ROWID;

-- What was written before had rows, perhaps labels, and perhaps targets, told of in columns of their own
-- and in `splits`: {"train": {"rows": 9, "labels": true, "target_range": [0.5, 2.5]}, "test": …}.
INSERT INTO dataset_columns (dataset_id, role, dtype, shape, range_min, range_max)
SELECT id, 'rows', dtype, shape, range_min, range_max FROM datasets;

INSERT INTO dataset_columns (dataset_id, role, dtype, shape, classes)
SELECT id, 'labels', 'i64', '[]', classes FROM datasets WHERE classes IS NOT NULL;

INSERT INTO dataset_columns (dataset_id, role, dtype, shape, range_min, range_max)
SELECT datasets.id, 'targets', 'f64', '[]',
       min(json_extract(split.value, '$.target_range[0]')),
       max(json_extract(split.value, '$.target_range[1]'))
FROM datasets, json_each(datasets.splits) AS split
WHERE json_extract(split.value, '$.target_range') IS NOT NULL
GROUP BY datasets.id;

UPDATE datasets SET splits = (
    SELECT json_group_object(split.key, json_object(
        'rows', json_extract(split.value, '$.rows'),
        'columns', CASE
            WHEN json_extract(split.value, '$.labels') AND json_type(split.value, '$.target_range') = 'array'
                THEN json_array('rows', 'labels', 'targets')
            WHEN json_extract(split.value, '$.labels') THEN json_array('rows', 'labels')
            WHEN json_type(split.value, '$.target_range') = 'array' THEN json_array('rows', 'targets')
            ELSE json_array('rows')
        END))
    FROM json_each(datasets.splits) AS split);

ALTER TABLE datasets DROP COLUMN shape;
ALTER TABLE datasets DROP COLUMN dtype;
ALTER TABLE datasets DROP COLUMN range_min;
ALTER TABLE datasets DROP COLUMN range_max;
ALTER TABLE datasets DROP COLUMN classes;
