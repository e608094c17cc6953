-- Back-Channel Logout 1.0 section 2.2, Front-Channel Logout 1.0 section 2: whether a client needs sid (and iss) when it is told of
-- a sign-out. Every client is told of both, so neither word changes anything; they may be registered.

ALTER TABLE clients ADD COLUMN backchannel_logout_session_required TEXT
    CHECK (backchannel_logout_session_required IN ('no', 'yes'));
ALTER TABLE clients ADD COLUMN frontchannel_logout_session_required TEXT
    CHECK (frontchannel_logout_session_required IN ('no', 'yes'));
