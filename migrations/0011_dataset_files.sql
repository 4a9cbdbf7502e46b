-- How the file of each part of an upload was read:
-- {"train": {"format": "csv", "header": true, "delimiter": ","}, "train_labels": {"format": "idx", …}, …}.

ALTER TABLE datasets ADD COLUMN files TEXT NOT NULL DEFAULT '{}';
