"""A service on Authlib's plain OAuth 2.0 client, with every token checked by joserfc, on nothing but the standard library's
server: what README.md of the folder above says a party does.
"""

import json
import os
import secrets
import time
from http import cookies
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

SETTINGS = os.environ
CLIENT_ID = SETTINGS["OIDC_CLIENT_ID"]
BASE_URL = SETTINGS["BASE_URL"]
ALGORITHM = SETTINGS.get("OIDC_ALGORITHM", "RS256")
REDIRECT_URI = f"{BASE_URL}/callback"
SIGNED_OUT_URI = f"{BASE_URL}/signed-out"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"

# Sign-ins and sign-outs in progress, and users who are in, each by the cookie of its browser.
pending = {}
sessions = {}
spent_logout_tokens = set()


class Refused(Exception):
    """Something that was received is not good."""


_metadata = {}


def metadata():
    """What discovery says, asked for at the first request, so that a service can start before its provider."""
    if not _metadata:
        _metadata.update(requests.get(SETTINGS["OIDC_DISCOVERY_URL"], timeout=10).json())
    return _metadata


def oauth(**more):
    """Authlib's client. Without `code_challenge_method` it sends no PKCE, and it never sends a nonce by itself."""
    return OAuth2Session(
        CLIENT_ID,
        SETTINGS.get("OIDC_CLIENT_SECRET"),
        token_endpoint_auth_method=SETTINGS.get("OIDC_AUTH_METHOD", "client_secret_basic"),
        scope=SETTINGS.get("OIDC_SCOPE", "openid profile email"),
        redirect_uri=REDIRECT_URI,
        token_endpoint=metadata()["token_endpoint"],
        code_challenge_method="S256",
        **more,
    )


def verified(token, kind, required):
    """The claims of a token that the provider signed for this service."""
    keys = KeySet.import_key_set(requests.get(metadata()["jwks_uri"], timeout=10).json())
    decoded = jwt.decode(token, keys, algorithms=[ALGORITHM])
    if decoded.header.get("typ", "JWT").lower() != kind.lower():
        raise Refused(f"typ is {decoded.header.get('typ')}, and not {kind}")
    rules = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": metadata()["issuer"]},
        aud={"essential": True, "value": CLIENT_ID},
        exp={"essential": True},
        iat={"essential": True},
        **{name: {"essential": True} for name in required},
    )
    rules.validate(decoded.claims)
    return decoded.claims


def known(session):
    """What userinfo says, if it is about the same person."""
    answer = session["oauth"].get(metadata()["userinfo_endpoint"], timeout=10)
    answer.raise_for_status()
    told = answer.json()
    if told["sub"] != session["claims"]["sub"]:
        raise Refused("userinfo is about another user")
    return told


def home(browser, _query):
    session = sessions.get(browser)
    if not session:
        return {"signed_in": False}
    told = session["known"]
    return {"signed_in": True, "sub": told["sub"], "name": told.get("name"), "email": told.get("email")}


def login(browser, _query):
    nonce, verifier = secrets.token_urlsafe(), secrets.token_urlsafe(48)
    url, state = oauth().create_authorization_url(
        metadata()["authorization_endpoint"], nonce=nonce, code_verifier=verifier
    )
    pending[browser] = {"state": state, "nonce": nonce, "verifier": verifier}
    return url


def callback(browser, query):
    checks = pending.pop(browser, None)
    if not checks or "state" not in checks:
        raise Refused("no sign-in is in progress")
    # RFC 9207: the answer says whose it is.
    if query.get("iss") != metadata()["issuer"]:
        raise Refused("the answer is of another provider")
    # Authlib would ask for a token of the service's own (client_credentials) where an answer brings no code.
    if query.get("state") == checks["state"] and "error" in query:
        raise Refused(query["error"])
    client = oauth(state=checks["state"])
    # It compares state.
    token = client.fetch_token(
        authorization_response=f"{REDIRECT_URI}?{urlencode(query)}", code_verifier=checks["verifier"]
    )
    claims = verified(token["id_token"], "JWT", ["sub", "nonce", "auth_time", "sid"])
    if claims["nonce"] != checks["nonce"]:
        raise Refused("nonce is not the one that was sent")
    session = {"oauth": client, "claims": claims, "id_token": token["id_token"]}
    session["known"] = known(session)
    sessions[browser] = session
    return f"{BASE_URL}/"


def refresh(browser, _query):
    session = sessions[browser]
    before = dict(session["oauth"].token)
    token = session["oauth"].refresh_token(metadata()["token_endpoint"], before["refresh_token"])
    claims = verified(token["id_token"], "JWT", ["sub", "auth_time"])
    for name in ("iss", "sub", "auth_time"):
        if claims[name] != session["claims"][name]:
            raise Refused(f"{name} has changed")
    session["known"] = known(session)
    return {
        "sub": session["known"]["sub"],
        "another_access_token": token["access_token"] != before["access_token"],
        "another_refresh_token": token["refresh_token"] != before["refresh_token"],
    }


def introspect(browser, _query):
    client = sessions[browser]["oauth"]
    url = metadata()["introspection_endpoint"]
    told = client.introspect_token(url, token=client.token["access_token"]).json()
    return {"active": told["active"], "sub": told.get("sub")}


def revoke(browser, _query):
    client = sessions[browser]["oauth"]
    token = client.token.get("refresh_token") or client.token["access_token"]
    client.revoke_token(metadata()["revocation_endpoint"], token=token).raise_for_status()
    told = client.introspect_token(metadata()["introspection_endpoint"], token=client.token["access_token"]).json()
    return {"active": told["active"]}


def logout(browser, _query):
    session = sessions.pop(browser, None)
    if not session:
        return f"{BASE_URL}/"
    state = secrets.token_urlsafe()
    pending[browser] = {"leaving": state}
    query = {"id_token_hint": session["id_token"], "post_logout_redirect_uri": SIGNED_OUT_URI, "state": state}
    return f"{metadata()['end_session_endpoint']}?{urlencode(query)}"


def signed_out(browser, query):
    expected = pending.pop(browser, {}).get("leaving")
    if not expected or query.get("state") != expected:
        raise Refused("this is not the state that was sent")
    return {"signed_in": False, "by": "this service"}


def backchannel(_browser, form):
    claims = verified(form.get("logout_token", ""), "logout+jwt", ["jti", "events"])
    names_no_user = "sid" not in claims and "sub" not in claims
    is_old = claims["jti"] in spent_logout_tokens or time.time() - claims["iat"] > 120
    if not isinstance(claims["events"].get(LOGOUT_EVENT), dict) or "nonce" in claims or names_no_user or is_old:
        raise Refused("this is no logout token, or an old one")
    spent_logout_tokens.add(claims["jti"])
    name = "sid" if "sid" in claims else "sub"
    for browser, session in list(sessions.items()):
        if session["claims"][name] == claims[name]:
            del sessions[browser]
    return {}


ENDPOINTS = {
    ("GET", "/"): home,
    ("GET", "/login"): login,
    ("GET", "/callback"): callback,
    ("GET", "/refresh"): refresh,
    ("GET", "/introspect"): introspect,
    ("GET", "/revoke"): revoke,
    ("GET", "/logout"): logout,
    ("GET", "/signed-out"): signed_out,
    ("POST", "/backchannel"): backchannel,
}


class Handler(BaseHTTPRequestHandler):
    """Answers with JSON, or redirects where an endpoint gives an address."""

    def answer(self):
        address = urlsplit(self.path)
        sent = cookies.SimpleCookie(self.headers.get("Cookie", "")).get("python_party")
        browser = sent.value if sent else secrets.token_urlsafe()
        if self.command == "POST":
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            given = {name: values[0] for name, values in parse_qs(body).items()}
        else:
            given = dict(parse_qsl(address.query))
        endpoint = ENDPOINTS.get((self.command, address.path))
        try:
            status, said = (200, endpoint(browser, given)) if endpoint else (404, {"error": "there is nothing here"})
        except AuthlibBaseError as error:
            status, said = 400, {"error": error.error}
        except (JoseError, Refused) as error:
            status, said = 400, {"error": str(error)}
        is_redirect = isinstance(said, str)
        body = b"" if is_redirect else json.dumps(said).encode()
        self.send_response(302 if is_redirect else status)
        if is_redirect:
            self.send_header("Location", said)
        self.send_header("Set-Cookie", f"python_party={browser}; Path=/; HttpOnly; SameSite=Lax")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer


def serve():
    ThreadingHTTPServer(("127.0.0.1", urlsplit(BASE_URL).port), Handler).serve_forever()


if __name__ == "__main__":
    serve()
