-- Sign-ins: a row for each, so that commands and people can list them and end them. The live record, with the services that
-- were entered, stays in the short-lived store; it is found by `record`.

CREATE TABLE user_sessions (
    -- The sign-in's own name, base64url; neither the cookie nor what services know it by.
    session    TEXT PRIMARY KEY,
    -- NULL: the person was deleted; the first node that sees it ends the sign-in.
    sub        TEXT REFERENCES users (sub) ON DELETE SET NULL,
    -- The key of the live record: the digest of the cookie.
    record     TEXT NOT NULL,
    -- Browser and network, as people are shown them.
    browser    TEXT NOT NULL DEFAULT '',
    network    TEXT NOT NULL DEFAULT '',
    started_at BIGINT NOT NULL,
    -- When the password was typed last.
    auth_time  BIGINT NOT NULL,
    -- When it was used last, to within an hour.
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- Set by whoever ends it: UPDATE user_sessions SET ended_at = … is enough, and every node sees it within ten seconds.
    ended_at   BIGINT,
    -- When a node had taken the live record and told the services.
    settled_at BIGINT
);

CREATE INDEX user_sessions_sub ON user_sessions (sub);
CREATE INDEX user_sessions_ended_at ON user_sessions (ended_at) WHERE settled_at IS NULL;
CREATE INDEX user_sessions_expires_at ON user_sessions (expires_at);
CREATE INDEX user_sessions_settled_at ON user_sessions (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX users_disabled_at ON users (disabled_at) WHERE disabled_at IS NOT NULL;
CREATE INDEX users_tokens_valid_after ON users (tokens_valid_after) WHERE tokens_valid_after IS NOT NULL;
