-- One-time links: one sets another password, one allows to set up a second factor, one accepts an invitation. `hallpass user
-- reset-link`, `user factor link` and `user invite` make them; using one deletes it.

CREATE TABLE user_links (
    -- The digest of the link's secret, which is kept nowhere.
    digest       TEXT PRIMARY KEY,
    -- password, factor, invitation.
    purpose      TEXT NOT NULL,
    -- Whose it is; NULL: it is an invitation, whose user is added when it is used.
    sub          TEXT REFERENCES users (sub) ON DELETE CASCADE,
    -- The mark of the user's password when it was made: another password ends it, also one written by SQL.
    credential   TEXT,
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
-- An operator's newest takes the place of the one before.
CREATE UNIQUE INDEX user_links_of_operator ON user_links (sub, purpose) WHERE made_by = 'operator' AND sub IS NOT NULL;
CREATE UNIQUE INDEX user_links_invitations ON user_links (email_folded) WHERE purpose = 'invitation';
CREATE INDEX user_links_expires_at ON user_links (expires_at);
