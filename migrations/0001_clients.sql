-- Clients: the services that may ask this provider who somebody is.
--
-- Column names are the registered metadata names of RFC 7591 and OpenID Connect Registration. Only
-- client_id must be given; every default is the safe choice. Times are Unix seconds, lists are
-- separated by spaces, and a word outside the registered ones is refused by the database itself.

CREATE TABLE clients (
    client_id                    TEXT PRIMARY KEY CHECK (LENGTH(client_id) BETWEEN 1 AND 255),
    client_name                  TEXT NOT NULL DEFAULT '',
    application_type             TEXT NOT NULL DEFAULT 'web'
        CHECK (application_type IN ('web', 'native')),
    token_endpoint_auth_method   TEXT NOT NULL DEFAULT 'client_secret_basic'
        CHECK (token_endpoint_auth_method IN ('client_secret_basic', 'client_secret_post', 'none')),
    grant_types                  TEXT NOT NULL DEFAULT 'authorization_code',
    response_types               TEXT NOT NULL DEFAULT 'code',
    scope                        TEXT NOT NULL DEFAULT 'openid profile email',
    id_token_signed_response_alg TEXT NOT NULL DEFAULT 'RS256'
        CHECK (id_token_signed_response_alg IN ('RS256', 'PS256', 'ES256', 'EdDSA')),
    -- required: every authorization request must bring a code_challenge. Public clients always must.
    pkce                         TEXT NOT NULL DEFAULT 'required' CHECK (pkce IN ('required', 'optional')),
    -- skip: the organisation's own service, nobody is asked.
    consent                      TEXT NOT NULL DEFAULT 'ask' CHECK (consent IN ('ask', 'skip')),
    access_token_format          TEXT NOT NULL DEFAULT 'opaque' CHECK (access_token_format IN ('opaque', 'jwt')),
    -- yes: name and e-mail stand in the id_token too, as the many libraries expect that never call userinfo.
    -- no: OpenID Connect Core 5.4 to the letter, for small tokens and for certification.
    claims_in_id_token           TEXT NOT NULL DEFAULT 'yes' CHECK (claims_in_id_token IN ('no', 'yes')),
    subject_type                 TEXT NOT NULL DEFAULT 'public' CHECK (subject_type IN ('public', 'pairwise')),
    sector_identifier            TEXT,
    default_max_age              BIGINT CHECK (default_max_age >= 0),
    -- Seconds; NULL: as the settings say.
    code_lifetime                BIGINT CHECK (code_lifetime BETWEEN 5 AND 600),
    access_token_lifetime        BIGINT CHECK (access_token_lifetime BETWEEN 30 AND 86400),
    id_token_lifetime            BIGINT CHECK (id_token_lifetime BETWEEN 30 AND 86400),
    refresh_token_idle_lifetime  BIGINT CHECK (refresh_token_idle_lifetime >= 60),
    refresh_token_lifetime       BIGINT CHECK (refresh_token_lifetime >= 60),
    jwks                         TEXT,
    jwks_uri                     TEXT,
    -- The API that this client itself is, when access tokens of others are meant for it.
    resource                     TEXT,
    backchannel_logout_uri       TEXT,
    -- Loaded in a frame, which gets the service's cookies on the issuer's own site only: elsewhere take the one above.
    frontchannel_logout_uri      TEXT,
    initiate_login_uri           TEXT,
    client_uri                   TEXT,
    logo_uri                     TEXT,
    policy_uri                   TEXT,
    tos_uri                      TEXT,
    contacts                     TEXT,
    client_id_issued_at          BIGINT,
    -- Tokens issued before this instant are dead.
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
