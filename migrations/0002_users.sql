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
    -- Written by Hallpass: the digest of a hash that it made itself, of a prepared password (RFC 8265). Where the hash above
    -- is another, somebody changed it by hand.
    credential_digest        TEXT,
    -- Written by Hallpass: the mark that sign-ins and tokens carry of the password of that digest. It stays where the same
    -- password is hashed anew, and is another for another password.
    credential_id            TEXT,
    -- Written by Hallpass, leave them out: user name and address as a sign-in compares them, and the text they were made of.
    -- Databases differ in what lower case is, so LOWER() decides nothing.
    username_folded          TEXT,
    email_folded             TEXT,
    folded_of                TEXT,
    created_at               BIGINT,
    updated_at               BIGINT,
    tokens_valid_after       BIGINT,
    disabled_at              BIGINT
);

-- A name that is typed exactly finds its row, also where nothing could be folded.
CREATE UNIQUE INDEX users_username ON users (username);
CREATE INDEX users_email ON users (email);
-- One person per name, whatever its case.
CREATE UNIQUE INDEX users_username_folded ON users (username_folded);
-- Not unique: two records may share an address, and then neither can sign in by it.
CREATE INDEX users_email_folded ON users (email_folded);
-- Rows that somebody inserted or renamed by hand since they were folded; the index is empty as a rule.
CREATE INDEX users_unfolded ON users (sub)
WHERE COALESCE(folded_of, '') <> COALESCE(username, '') || ' ' || COALESCE(email, '');
