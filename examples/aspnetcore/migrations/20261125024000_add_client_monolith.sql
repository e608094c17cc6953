-- Registers the client monolith (Monolith).
--
-- consent skip: one of our own services, nobody is asked.
-- claims_in_id_token yes: name and e-mail stand in the id_token; this app asks userinfo as well.
-- pkce required: every sign-in must prove with S256 that it was not intercepted.
--
-- initiate_login_uri: who sat at the login page for more than ten minutes is led here, as the handler has forgotten what it
-- asked for after 15.
--
-- The addresses are those of Properties/launchSettings.json and SignIn/ProviderOptions.cs.

INSERT INTO clients (
    client_id,
    client_name,
    application_type,
    token_endpoint_auth_method,
    grant_types,
    scope,
    access_token_format,
    pkce,
    consent,
    claims_in_id_token,
    client_id_issued_at,
    backchannel_logout_uri,
    initiate_login_uri
) VALUES (
    'monolith',
    'Monolith',
    'web',
    'client_secret_post',
    'authorization_code refresh_token',
    'openid profile email offline_access',
    'opaque',
    'required',
    'skip',
    'yes',
    1795574400,
    'https://localhost:7200/signout-backchannel',
    'https://localhost:7200/account/initiate'
);

-- Replace the text by the line that `hallpass hash-secret` prints (README.md, step 1). As it is, the database refuses it.
INSERT INTO client_secrets (client_id, secret_hash, created_at)
VALUES ('monolith', 'the line that hallpass hash-secret prints', 1795574400);

-- Compared letter by letter.
INSERT INTO client_redirect_uris (client_id, redirect_uri) VALUES ('monolith', 'https://localhost:7200/signin-oidc');
INSERT INTO client_post_logout_redirect_uris (client_id, post_logout_redirect_uri) VALUES ('monolith', 'https://localhost:7200/signout-callback-oidc');
