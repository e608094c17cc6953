-- Passkeys of users (WebAuthn): they sign in by one alone, or prove it after the password. `hallpass user factor` lists and removes
-- them. A row raises the least schema version that may serve.

CREATE TABLE user_passkeys (
    -- 22 characters, base64url: a name among the factors of a user.
    passkey_id      TEXT PRIMARY KEY,
    sub             TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    -- 16 random bytes, base64url, which authenticators keep and tell instead of the sub.
    user_handle     TEXT NOT NULL,
    -- The id that the authenticator gave it, base64url.
    credential_id   TEXT NOT NULL UNIQUE,
    -- The host of the issuer that it was made for; at another it is of no use.
    rp_id           TEXT NOT NULL,
    -- What the user calls it.
    name            TEXT NOT NULL DEFAULT '',
    -- Public key, counter and flags, as JSON. There is no secret in it.
    passkey         TEXT NOT NULL,
    -- 1: it can be backed up, and so be in several places.
    backup_eligible BIGINT NOT NULL,
    -- The mark of the password that it was added or used with last. Where the user has another one by now, it signs in no more before
    -- it was proven after that.
    credential      TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    used_at         BIGINT,
    -- The digest of what it was used with last: a use counts once, also where the authenticator does not count.
    ceremony        TEXT
);

CREATE INDEX user_passkeys_of_sub ON user_passkeys (sub);

-- When the user was offered to add one after a sign-in, and answered; NULL: not yet.
ALTER TABLE users ADD COLUMN passkey_offered_at BIGINT;
