-- Mails on their way: whom they go to and what they are about, never a link: its secret is made when the mail is handed over. A row is
-- deleted when the mail server has taken the mail, or when it is given up.

CREATE TABLE mail_outbox (
    mail_id     TEXT PRIMARY KEY,
    -- password_link, factor_link, email_link; password_changed, password_reset, password_set, email_changed, factor_added,
    -- factor_removed, codes_made, new_browser.
    kind        TEXT NOT NULL,
    -- Whom it is about.
    sub         TEXT REFERENCES users (sub) ON DELETE CASCADE,
    -- Where it goes.
    address     TEXT NOT NULL,
    -- JSON: when, from where and by which browser it happened.
    detail      TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    -- When any node tries it, again or for the first time.
    due_at      BIGINT NOT NULL,
    tries       BIGINT NOT NULL DEFAULT 0,
    -- Why it was not taken the last time.
    last_result TEXT
);

CREATE INDEX mail_outbox_due_at ON mail_outbox (due_at);
CREATE INDEX mail_outbox_sub ON mail_outbox (sub, kind);
