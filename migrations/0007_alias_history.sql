-- Where each alias pointed, and since when: a takeover can be looked up, and undone.

CREATE TABLE alias_moves (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    name     TEXT NOT NULL,
    alias    TEXT NOT NULL,
    version  INTEGER, -- null: it was removed
    at       INTEGER NOT NULL
);

CREATE INDEX alias_moves_by_alias ON alias_moves (name, alias, seq);

-- What is there already has pointed where it points since nobody knows when; its version's day is the earliest.
INSERT INTO alias_moves (name, alias, version, at)
SELECT a.name, a.alias, a.version, v.created_at
FROM model_aliases a JOIN model_versions v ON v.name = a.name AND v.version = a.version;
