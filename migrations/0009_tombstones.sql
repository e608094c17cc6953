-- Users who were deleted: neither sub nor user name of one is ever given to another user. `hallpass user delete` writes it; a row of
-- users that is deleted by hand leaves nothing here.

CREATE TABLE user_tombstones (
    sub         TEXT NOT NULL,
    -- HMAC-SHA256 of the user name as a sign-in compares it, base64url, under a key of provider_values that is never renewed;
    -- empty: the user had no name.
    name_digest TEXT NOT NULL DEFAULT '',
    deleted_at  BIGINT NOT NULL,
    PRIMARY KEY (sub, name_digest)
);

CREATE INDEX user_tombstones_name_digest ON user_tombstones (name_digest);
