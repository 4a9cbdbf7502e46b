-- Of a column of codes that stand for words: the words, in the order of the codes; empty where codes are the client's own.

ALTER TABLE dataset_columns ADD COLUMN names TEXT NOT NULL DEFAULT '[]';
