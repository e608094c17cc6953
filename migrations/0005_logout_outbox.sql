-- Logout messages on their way to services (OpenID Connect Back-Channel Logout 1.0). A row outlives a restart; its
-- token is signed anew for each try. Delivered and given-up rows stay for a while, so that an operator can see them.

CREATE TABLE logout_outbox (
    message_id   TEXT PRIMARY KEY,
    client_id    TEXT NOT NULL,
    sub          TEXT NOT NULL,
    session      TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    -- When it is to be tried next; whoever tries it moves this first, so that no other node does too.
    due_at       BIGINT NOT NULL,
    tries        BIGINT NOT NULL DEFAULT 0,
    last_result  TEXT,
    delivered_at BIGINT,
    given_up_at  BIGINT
);

CREATE INDEX logout_outbox_due_at ON logout_outbox (due_at);
