-- Who demands a second factor, and since when a user is asked for one. `hallpass group edit` and `hallpass client edit` write it.

-- Days within which members have to set up a second factor, from their first sign-in under the demand on; 0: a password alone does
-- not let them in; NULL: none is demanded. Such a row raises the least schema version that may serve.
ALTER TABLE groups ADD COLUMN second_factor_within BIGINT;

-- The first sign-in of a user who is asked for a second factor and has none; NULL: there was none, or the days start anew.
ALTER TABLE users ADD COLUMN second_factor_asked_at BIGINT;

-- Browsers that were trusted until that instant are not trusted any more: the user signed out everywhere.
ALTER TABLE users ADD COLUMN browsers_untrusted_at BIGINT;

-- The least acr of every sign-in at this client: 2; NULL: it demands none. Such a row raises the least schema version as well.
ALTER TABLE clients ADD COLUMN require_acr TEXT;

CREATE INDEX clients_require_acr ON clients (client_id) WHERE require_acr IS NOT NULL;
