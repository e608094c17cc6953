"""Where the provider tells this service that a session ended elsewhere, server to server: OpenID Connect Back-Channel Logout 1.0.

No browser is here, so there is no cookie and no form token: the signature of the logout token is what counts.
"""

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from forms import MalformedForm, small_form
from session import the_sessions
from settings import Settings
from signed_tokens import LEEWAY, ProviderUnavailable, SignedTokens, TokenNotGood

log = logging.getLogger("uvicorn.error.reports")

# Both spellings. An id_token has another `typ`, so it signs no user out (2.4).
TYPES = {"logout+jwt", "application/logout+jwt"}
# What a logout token must have (2.4), beside `sid` or `sub`.
REQUIRED_CLAIMS = ("iss", "aud", "iat", "exp", "jti", "events")
EVENT = "http://schemas.openid.net/event/backchannel-logout"
# Seconds. An older one is not taken, however long it says that it is good: so long its `jti` must be remembered.
MAX_AGE = 5 * 60
# The most `jti` that are remembered. The provider alone can fill this: nothing gets here without its signature.
MAX_REMEMBERED = 10_000

router = APIRouter()


@dataclass(frozen=True)
class EndedThere:
    """What ended at the provider: the session `sid`, or without one, every session of the user `sub`."""

    sid: str | None
    sub: str | None


class LogoutTokens:
    def __init__(self, settings: Settings, signed_tokens: SignedTokens) -> None:
        self._settings = settings
        self._signed_tokens = signed_tokens
        self._used: OrderedDict[str, float] = OrderedDict()

    async def verify(self, token: str) -> EndedThere:
        """Checks a logout token (Back-Channel Logout 2.6); each is good once."""
        claims = await self._signed_tokens.claims(token, TYPES, self._settings.client_id, REQUIRED_CLAIMS)
        if claims["iat"] < time.time() - MAX_AGE - LEEWAY:
            raise TokenNotGood("the token is too old")
        events = claims["events"]
        if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
            raise TokenNotGood("the token tells of no logout")
        if "nonce" in claims:
            raise TokenNotGood("the token has a nonce, as an id_token has")
        ended = EndedThere(sid=text(claims, "sid"), sub=text(claims, "sub"))
        if ended.sid is None and ended.sub is None:
            raise TokenNotGood("the token names neither a session nor a user")
        # Last, so that what is refused for another reason uses no `jti` up.
        self._use(claims["jti"])
        return ended

    def _use(self, jti: str) -> None:
        now = time.time()
        while self._used and (next(iter(self._used.values())) < now or len(self._used) >= MAX_REMEMBERED):
            self._used.popitem(last=False)
        if jti in self._used:
            raise TokenNotGood("the token was used")
        self._used[jti] = now + MAX_AGE + 2 * LEEWAY


def text(claims: dict[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise TokenNotGood(f"{name} is no text")
    return value


@router.post("/backchannel-logout")
async def backchannel_logout(request: Request) -> Response:
    """The `backchannel_logout_uri` of this client (Back-Channel Logout 2.5, 2.8)."""
    logout_tokens: LogoutTokens = request.app.state.logout_tokens
    try:
        form = await small_form(request)
        if "logout_token" not in form:
            raise MalformedForm("there is no logout_token")
        ended = await logout_tokens.verify(form["logout_token"])
    except (MalformedForm, TokenNotGood) as error:
        return refused("invalid_request", str(error))
    except ProviderUnavailable as error:
        log.warning("a logout token could not be checked: %s", error)
        return refused("temporarily_unavailable", "the token cannot be checked now, try again")
    count = the_sessions(request).end_named(ended.sid, ended.sub)
    log.info("the provider ended a session: %d here", count)
    # Also where there was none: what was to end is not there (2.7).
    return Response()


def refused(error: str, description: str) -> Response:
    """400 whatever the reason, as 2.8 wants it."""
    log.warning("a logout token was refused: %s", description)
    return JSONResponse({"error": error, "error_description": description}, 400)
