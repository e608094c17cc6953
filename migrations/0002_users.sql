-- People. Columns are the standard claims of OpenID Connect Core 5.1 under their names; a flag such as
-- email_verified is the instant it became true. Only sub must be given; it never changes and is never
-- given to anybody else.

CREATE TABLE users (
    sub                      TEXT PRIMARY KEY CHECK (LENGTH(sub) BETWEEN 1 AND 255),
    username                 TEXT,
    email                    TEXT,
    email_verified_at        BIGINT,
    name                     TEXT,
    given_name               TEXT,
    family_name              TEXT,
    middle_name              TEXT,
    nickname                 TEXT,
    preferred_username       TEXT,
    profile                  TEXT,
    picture                  TEXT,
    website                  TEXT,
    gender                   TEXT,
    birthdate                TEXT,
    zoneinfo                 TEXT,
    locale                   TEXT,
    phone_number             TEXT,
    phone_number_verified_at BIGINT,
    address_formatted        TEXT,
    address_street_address   TEXT,
    address_locality         TEXT,
    address_region           TEXT,
    address_postal_code      TEXT,
    address_country          TEXT,
    -- argon2id in PHC form; NULL: this person cannot sign in with a password.
    password_hash            TEXT,
    created_at               BIGINT,
    updated_at               BIGINT,
    tokens_valid_after       BIGINT,
    disabled_at              BIGINT
);

-- One person per name, whatever its case.
CREATE UNIQUE INDEX users_username ON users (LOWER(username));
-- Not unique: two records may share an address, and then neither can sign in by it.
CREATE INDEX users_email ON users (LOWER(email));
