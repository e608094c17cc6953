-- What users ask for at their account page and an operator carries out.

-- When this user asked for the account to be deleted; NULL: it was not asked for, or taken back. Nothing happens by itself:
-- `hallpass user delete` and `hallpass user erase` remain the operator's.
ALTER TABLE users ADD COLUMN deletion_requested_at BIGINT;

CREATE INDEX users_deletion_requested_at ON users (deletion_requested_at) WHERE deletion_requested_at IS NOT NULL;
