-- Users from elsewhere: where each was brought over from, so that the same import can be made again and changes only what was
-- changed there since. `hallpass user import` writes it.

-- The instant until which the user cannot sign in; 253402300799 (9999-12-31T23:59:59Z): for good; NULL: not locked. Such a row
-- raises the least schema version that may serve.
ALTER TABLE users ADD COLUMN locked_until BIGINT;

CREATE INDEX users_locked ON users (sub) WHERE locked_until IS NOT NULL;

CREATE TABLE user_sources (
    -- The name of the source, as --source says it.
    source      TEXT NOT NULL,
    -- What the source knows the user by: the key of its row.
    source_key  TEXT NOT NULL,
    sub         TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    -- JSON: by each member that was brought over a digest of what the source said; never the value.
    digests     TEXT NOT NULL DEFAULT '{}',
    imported_at BIGINT,
    PRIMARY KEY (source, source_key)
);

CREATE INDEX user_sources_sub ON user_sources (sub);

-- The source that made a group of one of its roles; NULL: an operator did.
ALTER TABLE groups ADD COLUMN source TEXT;

-- Roles of a source and the groups that they became here. It stays where the group is deleted: then no user joins it.
CREATE TABLE group_sources (
    source     TEXT NOT NULL,
    source_key TEXT NOT NULL,
    group_name TEXT NOT NULL,
    -- Since when an operator says that the role is that group; NULL: the group was made of it.
    said_at    BIGINT,
    -- JSON: by each claim of the role a digest of what the source said.
    digests    TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (source, source_key)
);
