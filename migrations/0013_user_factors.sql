-- What a user proves beside the password: authenticators (TOTP, RFC 6238) and recovery codes. `hallpass user factor` lists and
-- removes them. A row of kind totp raises the least schema version that may serve.

CREATE TABLE user_factors (
    -- 22 characters, base64url.
    factor_id  TEXT PRIMARY KEY,
    sub        TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    -- totp, or recovery_codes: one row of a user for all of them.
    kind       TEXT NOT NULL,
    -- What the user calls it.
    name       TEXT NOT NULL DEFAULT '',
    -- Sealed by a factor key (AES-256-GCM), bound to the three columns above it: the same text in another row is nothing.
    secret     TEXT NOT NULL,
    -- Which key that was.
    key_id     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at    BIGINT,
    -- The last step of 30 seconds that a code was taken of.
    last_step  BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX user_factors_of_sub ON user_factors (sub);

CREATE UNIQUE INDEX user_factors_recovery_codes ON user_factors (sub) WHERE kind = 'recovery_codes';
