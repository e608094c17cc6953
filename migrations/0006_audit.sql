-- What happened: sign-ins, consents, tokens, refusals, changes. A chain belongs to one run of a node or a command; each
-- event carries the hash of the one before it, and the first of a chain the hash of the newest event that was there when
-- it began. `hallpass audit verify` checks them.
--
-- Two things may be taken away. What tells of a person (sub, network, personal) can be erased: the hash covers a salted digest
-- of each, and without value and salt the digest tells nothing. And the oldest events of a chain can be pruned: an event
-- `audit_pruned` in the chain of whoever did it says up to where, and what the hash there was.

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
    -- Whatever else there is to say that tells of nobody, a JSON object.
    detail        TEXT,
    -- What else tells of a person, a JSON object of texts.
    personal      TEXT,
    -- By the name of each personal member, sub and network among them: its salt, until it is erased, and its digest, for good.
    salts         TEXT,
    digests       TEXT,
    previous_hash TEXT NOT NULL,
    hash          TEXT NOT NULL,
    PRIMARY KEY (chain, sequence)
);

CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_sub ON audit_events (sub);
CREATE INDEX audit_events_client_id ON audit_events (client_id);

-- Where the newest `audit_pruned` of a pruned chain is.
CREATE TABLE audit_checkpoints (
    chain         TEXT PRIMARY KEY,
    told_chain    TEXT NOT NULL,
    told_sequence BIGINT NOT NULL
);

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
