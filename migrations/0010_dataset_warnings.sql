-- What the client should know of a data set though nothing was refused: [{"code": …, "detail": …, "pointer": …}, …].

ALTER TABLE datasets ADD COLUMN warnings TEXT NOT NULL DEFAULT '[]';
