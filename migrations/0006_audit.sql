-- What happened: sign-ins, consents, tokens, refusals, changes. A chain belongs to one run of a node or a command; each
-- event carries the hash of the one before it, and the first of a chain the hash of the newest event that was there when
-- it began. `hallpass audit verify` checks them. Nothing here is ever changed or deleted by the provider.

CREATE TABLE audit_events (
    chain         TEXT NOT NULL,
    sequence      BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    event         TEXT NOT NULL,
    sub           TEXT,
    client_id     TEXT,
    network       TEXT,
    -- The request it happened in, as its log record and its error page have it.
    reference     TEXT,
    -- Whatever else there is to say, a JSON object.
    detail        TEXT,
    previous_hash TEXT NOT NULL,
    hash          TEXT NOT NULL,
    PRIMARY KEY (chain, sequence)
);

CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_sub ON audit_events (sub);
CREATE INDEX audit_events_client_id ON audit_events (client_id);

-- Refusals under their reference, for `hallpass explain`: what was sent, what was expected, and the fix. They are kept for
-- a month, the newest fifty thousand at most.
CREATE TABLE refusals (
    reference   TEXT PRIMARY KEY,
    at          BIGINT NOT NULL,
    status      BIGINT NOT NULL,
    code        TEXT NOT NULL,
    method      TEXT NOT NULL,
    path        TEXT NOT NULL,
    client_id   TEXT,
    description TEXT NOT NULL,
    detail      TEXT,
    -- JSON: sent, expected, fix.
    explanation TEXT NOT NULL DEFAULT '{}'
);

CREATE INDEX refusals_at ON refusals (at);
