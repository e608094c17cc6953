"""A service on requests-oauthlib as its own documentation shows it: no PKCE, no nonce, the secret in the header without
encoding, and nothing of the id_token is looked at. It asks userinfo who the user is.
"""

import os

import service
from oauthlib.oauth2 import OAuth2Error
from requests_oauthlib import OAuth2Session

# It refuses plain http otherwise, and in the tests everything is on this machine.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"


def oauth(**more):
    scope = os.environ.get("OIDC_SCOPE", "openid profile email").split()
    return OAuth2Session(service.CLIENT_ID, redirect_uri=service.REDIRECT_URI, scope=scope, **more)


def login(browser, _query):
    url, state = oauth().authorization_url(service.metadata()["authorization_endpoint"])
    service.pending[browser] = state
    return url


def callback(browser, query):
    client = oauth(state=service.pending.pop(browser))
    try:
        client.fetch_token(
            service.metadata()["token_endpoint"],
            authorization_response=f"{service.REDIRECT_URI}?{service.urlencode(query)}",
            client_secret=os.environ["OIDC_CLIENT_SECRET"],
        )
    except OAuth2Error as error:
        raise service.Refused(error.error) from error
    except Warning as warning:
        # oauthlib raises one where another scope was given than it asked for.
        raise service.Refused(str(warning)) from warning
    service.sessions[browser] = {"known": client.get(service.metadata()["userinfo_endpoint"]).json()}
    return f"{service.BASE_URL}/"


if __name__ == "__main__":
    service.ENDPOINTS[("GET", "/login")] = login
    service.ENDPOINTS[("GET", "/callback")] = callback
    service.serve()
