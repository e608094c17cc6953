-- A sign-in page that lay open outlives the patience of the service that asked: it has forgotten its state by then, and could not take
-- the answer. Who proves who they are so many seconds after the request is led to `initiate_login_uri`, where that is set, and the
-- service starts anew. 30 to 5400, what is beyond counting as the nearest; 5400: never, as no sign-in is remembered for longer.

ALTER TABLE clients ADD COLUMN stale_after BIGINT NOT NULL DEFAULT 600;
