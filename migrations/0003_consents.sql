-- What a person allowed a client to know, so that they are asked once.

CREATE TABLE consents (
    sub        TEXT NOT NULL REFERENCES users (sub) ON DELETE CASCADE,
    client_id  TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    scope      TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    PRIMARY KEY (sub, client_id)
);

-- Values that the provider makes once and must never lose: the salt of pairwise subjects, the key that
-- masks session handles.
CREATE TABLE provider_values (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
