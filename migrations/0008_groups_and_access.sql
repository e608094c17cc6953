-- What users may do: groups, further claims, roles at services; who may enter which service; and what a service is told.
--
-- All of it is SQL that is reviewed like a client. `hallpass group`, `hallpass user claim` and `hallpass client claim` write the
-- same rows. A change is in every token that is issued ten seconds later.
--
-- Columns of words have no CHECK, as in clients: a row with a word that the running version does not know is refused by name.

CREATE TABLE groups (
    name        TEXT PRIMARY KEY CHECK (LENGTH(name) BETWEEN 1 AND 255),
    description TEXT NOT NULL DEFAULT '',
    created_at  BIGINT
);

CREATE TABLE group_members (
    group_name TEXT NOT NULL REFERENCES groups (name) ON DELETE CASCADE,
    sub        TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    -- The instant the membership ends; NULL: it does not end by itself.
    until      BIGINT,
    added_at   BIGINT,
    PRIMARY KEY (group_name, sub)
);

CREATE INDEX group_members_sub ON group_members (sub);

-- Claims that every member of a group has, for as long as the membership lasts.
CREATE TABLE group_claims (
    group_name TEXT NOT NULL REFERENCES groups (name) ON DELETE CASCADE,
    claim      TEXT NOT NULL,
    -- JSON: "a text", ["several", "texts"], 5, true, {"an": "object"}.
    value      TEXT NOT NULL,
    PRIMARY KEY (group_name, claim)
);

-- Claims of one user beyond the columns of users. Standard claims and groups have their own tables, and names that the protocol
-- sets (iss, sub, aud, …) can be no user's.
CREATE TABLE user_claims (
    sub   TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    claim TEXT NOT NULL,
    -- JSON, as above.
    value TEXT NOT NULL,
    PRIMARY KEY (sub, claim)
);

-- Scopes of an organization's own: what people read on the consent page, and the claims of users that the scope opens.
CREATE TABLE scopes (
    scope       TEXT PRIMARY KEY,
    description TEXT NOT NULL DEFAULT '',
    -- Names separated by spaces; empty: the scope is about an API.
    claims      TEXT NOT NULL DEFAULT ''
);

-- everybody; groups: only members of a group in client_groups, and where there is none no user.
ALTER TABLE clients ADD COLUMN access TEXT NOT NULL DEFAULT 'everybody';

CREATE INDEX clients_access ON clients (client_id) WHERE access <> 'everybody';

CREATE TABLE client_groups (
    client_id  TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    group_name TEXT NOT NULL REFERENCES groups (name) ON DELETE CASCADE,
    PRIMARY KEY (client_id, group_name)
);

CREATE INDEX client_groups_group_name ON client_groups (group_name);

-- Roles at one service, which the members of a group have there.
CREATE TABLE client_roles (
    client_id  TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    role       TEXT NOT NULL,
    group_name TEXT NOT NULL REFERENCES groups (name) ON DELETE CASCADE,
    -- Where a service takes one role only, the one of the least number counts.
    rank       BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (client_id, role, group_name)
);

CREATE INDEX client_roles_group_name ON client_roles (group_name);

-- What a client is told beyond its scopes, under which name and in which shape.
CREATE TABLE client_claims (
    client_id   TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    -- Its name in tokens. One that starts with a slash is a path of members (RFC 6901): /realm_access/roles.
    claim       TEXT NOT NULL,
    -- groups; roles: those of client_roles; claim: one of the user's; constant.
    source      TEXT NOT NULL,
    -- For a claim the name of the user's, where it is another one; for a constant the value as JSON.
    value       TEXT,
    -- list: a list of texts, also of one; text: one text, the first; as_is: as the value is.
    shape       TEXT NOT NULL DEFAULT 'list',
    -- The scope that opens it; NULL: every sign-in at this client does.
    scope       TEXT,
    -- id_token, userinfo, access_token, introspection.
    places      TEXT NOT NULL DEFAULT 'id_token userinfo',
    -- Only groups, roles or texts that start so.
    starts_with TEXT NOT NULL DEFAULT '',
    -- Put before each text, as Kubernetes wants it.
    prefix      TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (client_id, claim)
);

-- What of it was shown beside the scopes, names separated by spaces; NULL: nothing.
ALTER TABLE consents ADD COLUMN claims TEXT;
