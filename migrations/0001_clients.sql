-- Clients: the services that may ask this provider who somebody is.
--
-- Column names are the registered metadata names of RFC 7591 and OpenID Connect Registration. Only
-- client_id must be given; every default is the safe choice. Times are Unix seconds. Lists are separated
-- by spaces; response_types, whose items have spaces in them, is separated by commas.
--
-- Columns of words have no CHECK: SQLite could never change it, and a later version knows more words. A row with
-- a word that the running version does not know is not served; `hallpass client lint`, `hallpass doctor` and the log
-- name the column and the word.

CREATE TABLE clients (
    client_id                    TEXT PRIMARY KEY CHECK (LENGTH(client_id) BETWEEN 1 AND 255),
    client_name                  TEXT NOT NULL DEFAULT '',
    -- web, native.
    application_type             TEXT NOT NULL DEFAULT 'web',
    -- client_secret_basic, client_secret_post, none.
    token_endpoint_auth_method   TEXT NOT NULL DEFAULT 'client_secret_basic',
    -- authorization_code, refresh_token, client_credentials.
    grant_types                  TEXT NOT NULL DEFAULT 'authorization_code',
    -- code.
    response_types               TEXT NOT NULL DEFAULT 'code',
    scope                        TEXT NOT NULL DEFAULT 'openid profile email',
    -- RS256, PS256, ES256, EdDSA.
    id_token_signed_response_alg TEXT NOT NULL DEFAULT 'RS256',
    -- required: every authorization request must bring a code_challenge; optional. Public clients always must.
    pkce                         TEXT NOT NULL DEFAULT 'required',
    -- ask; skip: the organisation's own service, nobody is asked.
    consent                      TEXT NOT NULL DEFAULT 'ask',
    -- opaque, jwt.
    access_token_format          TEXT NOT NULL DEFAULT 'opaque',
    -- yes: name and e-mail stand in the id_token too, as the many libraries expect that never call userinfo.
    -- no: OpenID Connect Core 5.4 to the letter, for small tokens and for certification.
    claims_in_id_token           TEXT NOT NULL DEFAULT 'yes',
    -- public; pairwise: a sub of its own for each sector (OpenID Connect Core 8.1).
    subject_type                 TEXT NOT NULL DEFAULT 'public',
    -- The host whose pairwise subjects the client shares. Every pairwise client should have it: without it the host of
    -- its redirect URIs counts, and one with several hosts is not served.
    sector_identifier            TEXT,
    default_max_age              BIGINT CHECK (default_max_age >= 0),
    -- Seconds; NULL: as the settings say.
    code_lifetime                BIGINT CHECK (code_lifetime BETWEEN 5 AND 600),
    access_token_lifetime        BIGINT CHECK (access_token_lifetime BETWEEN 30 AND 86400),
    id_token_lifetime            BIGINT CHECK (id_token_lifetime BETWEEN 30 AND 86400),
    refresh_token_idle_lifetime  BIGINT CHECK (refresh_token_idle_lifetime >= 60),
    refresh_token_lifetime       BIGINT CHECK (refresh_token_lifetime >= 60),
    -- always; never: one refresh token lasts as long as its family. Public clients always rotate.
    refresh_token_rotation       TEXT NOT NULL DEFAULT 'always',
    -- The API that this client itself is, when access tokens of others are meant for it.
    resource                     TEXT,
    backchannel_logout_uri       TEXT,
    -- Loaded in a frame, which gets the service's cookies on the issuer's own site only: elsewhere take the one above.
    frontchannel_logout_uri      TEXT,
    initiate_login_uri           TEXT,
    client_uri                   TEXT,
    policy_uri                   TEXT,
    tos_uri                      TEXT,
    -- Where the row came from: migration.
    origin                       TEXT NOT NULL DEFAULT 'migration',
    client_id_issued_at          BIGINT,
    -- What was authorized before this instant is dead: codes, refresh tokens, access tokens.
    tokens_valid_after           BIGINT,
    disabled_at                  BIGINT
);

-- argon2id in PHC form, as `hallpass hash-secret` prints it; never the secret itself. Several may be
-- valid at once, so that a secret is changed without an outage.
CREATE TABLE client_secrets (
    client_id                TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    secret_hash              TEXT NOT NULL CHECK (secret_hash LIKE '$argon2id$%'),
    label                    TEXT,
    created_at               BIGINT,
    -- 0: never.
    client_secret_expires_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (client_id, secret_hash)
);

-- Compared byte by byte, as are those below; but for the port of a native client on loopback, which is free.
CREATE TABLE client_redirect_uris (
    client_id    TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    redirect_uri TEXT NOT NULL CHECK (redirect_uri NOT LIKE '%#%' AND redirect_uri NOT LIKE '%*%'),
    PRIMARY KEY (client_id, redirect_uri)
);

CREATE TABLE client_post_logout_redirect_uris (
    client_id                TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    post_logout_redirect_uri TEXT NOT NULL,
    PRIMARY KEY (client_id, post_logout_redirect_uri)
);

-- The APIs that a client's access tokens are for (aud).
CREATE TABLE client_audiences (
    client_id TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    audience  TEXT NOT NULL,
    PRIMARY KEY (client_id, audience)
);
