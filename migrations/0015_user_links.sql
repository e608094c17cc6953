-- One-time links: one sets another password, one accepts an invitation. `hallpass user reset-link` and `hallpass user invite`
-- make them; using one deletes it.

CREATE TABLE user_links (
    -- The digest of the link's secret, which is kept nowhere.
    digest       TEXT PRIMARY KEY,
    -- password, invitation.
    purpose      TEXT NOT NULL,
    -- Whose password it sets; NULL: it is an invitation, whose user is added when it is used.
    sub          TEXT REFERENCES users (sub) ON DELETE CASCADE,
    -- JSON: what else the link is about. Of an invitation: who is invited.
    detail       TEXT,
    -- The address that is invited, as a sign-in compares it.
    email_folded TEXT,
    -- operator.
    made_by      TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

CREATE INDEX user_links_sub ON user_links (sub) WHERE sub IS NOT NULL;
CREATE INDEX user_links_email_folded ON user_links (email_folded) WHERE email_folded IS NOT NULL;
CREATE INDEX user_links_expires_at ON user_links (expires_at);
