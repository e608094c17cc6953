-- Forms of password hashes other than Hallpass's own: a failed sign-in takes as long as the dearest of them. The index has
-- the beginning of each such hash up to its salt, function and cost, and is empty as a rule; a node jumps from one to the next.
-- What it takes away from the end is the hash, a dollar and the salt; bcrypt has no dollar between the two.

CREATE INDEX users_password_form ON users (
    (SUBSTR(
        CASE WHEN SUBSTR(password_hash, 1, 2) = '$2' THEN SUBSTR(password_hash, 1, 7)
        ELSE RTRIM(RTRIM(RTRIM(password_hash,
            'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/.=-_'), '$'),
            'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/.=-_') END, 1, 100))
) WHERE SUBSTR(password_hash, 1, 31) <> '$argon2id$v=19$m=19456,t=2,p=1$';
