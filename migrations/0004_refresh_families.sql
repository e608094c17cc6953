-- Refresh tokens: a row for each family, which begins with a code and ends by time, by revocation, or when one of its
-- tokens is shown again too late. No token rests here, only digests.

CREATE TABLE refresh_families (
    -- The name of the grant, base64url.
    family_id       TEXT PRIMARY KEY,
    client_id       TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    -- NULL, as is authorized, only in the row of a code that was replayed before its family was written: such a
    -- family is dead.
    sub             TEXT,
    -- What was authorized and how the person signed in, a JSON object: scope, resources, claims, sign-in. A member that
    -- a version does not know stays as it is.
    authorized      TEXT,
    current_digest  TEXT NOT NULL DEFAULT '',
    -- The digest before, and the salt that leads from it to the current one, while a lost answer may be repeated.
    previous_digest TEXT,
    salt            TEXT,
    issued_at       BIGINT NOT NULL,
    used_at         BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    revoked_at      BIGINT
);

CREATE INDEX refresh_families_used_at ON refresh_families (used_at);
CREATE INDEX refresh_families_sub ON refresh_families (sub);
CREATE INDEX refresh_families_client_id ON refresh_families (client_id);
