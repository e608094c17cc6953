"""The API of Reports, for other services and for machines: access tokens instead of a session, JSON instead of pages.

    GET  /api/reports          scope reports:read, a JWT access token, checked here
    POST /api/reports/publish  scope reports:publish, any access token, checked by asking the provider
    POST /api/reports/retract  the same, and a sign-in with a second factor within the last ten minutes (RFC 9470)

Reading is frequent and does no harm, so it does not ask the provider. Publishing cannot be undone, so a token that was withdrawn a
second ago must not do it. Retracting is for people alone, and a stolen password must not be enough for it: the client is sent
back with what the sign-in has to be.
"""

import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from access_tokens import AccessTokens, Caller, TokenRefused
from signed_tokens import ProviderUnavailable

log = logging.getLogger("uvicorn.error.reports")

PREFIX = "/api"
REALM = "reports"
# What a sign-in must be for what only a person may do: its `acr`, and at most so many seconds old.
ACR, MAX_AGE = "2", 600
# RFC 6750 2.1.
TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")

router = APIRouter(prefix=PREFIX)

REPORTS = [{"title": "Revenue of the quarter"}, {"title": "Visitors of the week"}]


def bearer_token(request: Request) -> str:
    """Returns the token of the `Authorization` header, the one place where it may be."""
    values = request.headers.getlist("authorization")
    scheme, _, token = (values[0] if values else "").partition(" ")
    if scheme.lower() != "bearer":
        raise TokenRefused(401)
    if len(values) > 1 or not TOKEN.fullmatch(token.strip(" ")):
        raise TokenRefused(400, "invalid_request", "send one token, as Authorization: Bearer TOKEN")
    return token.strip(" ")


def the_access_tokens(request: Request) -> AccessTokens:
    return request.app.state.access_tokens


Token = Annotated[str, Depends(bearer_token)]
AccessTokensOfApp = Annotated[AccessTokens, Depends(the_access_tokens)]


def by_signature(scope: str) -> Callable[..., Awaitable[Caller]]:
    async def caller(token: Token, access_tokens: AccessTokensOfApp) -> Caller:
        return allowed(await access_tokens.verify(token), scope)

    return caller


def by_asking(scope: str) -> Callable[..., Awaitable[Caller]]:
    async def caller(token: Token, access_tokens: AccessTokensOfApp) -> Caller:
        return allowed(await access_tokens.introspect(token), scope)

    return caller


def allowed(caller: Caller, scope: str) -> Caller:
    if scope not in caller.scope:
        raise TokenRefused(403, "insufficient_scope", f"the token does not have the scope {scope}", scope=scope)
    return caller


def by_second_factor(scope: str) -> Callable[..., Awaitable[Caller]]:
    """Lets in who has signed in lately with a second factor; others' clients start a sign-in that has it (RFC 9470 3, 4)."""

    async def caller(caller: Annotated[Caller, Depends(by_asking(scope))]) -> Caller:
        if caller.acr != ACR or time.time() - caller.auth_time > MAX_AGE:
            why = "the user has to sign in with a second factor"
            further = {"acr_values": ACR, "max_age": str(MAX_AGE)}
            raise TokenRefused(401, "insufficient_user_authentication", why, **further)
        return caller

    return caller


@router.get("/reports")
async def reports(caller: Annotated[Caller, Depends(by_signature("reports:read"))]) -> dict[str, Any]:
    return {"reports": REPORTS, "caller": described(caller)}


@router.post("/reports/publish")
async def publish(caller: Annotated[Caller, Depends(by_asking("reports:publish"))]) -> dict[str, Any]:
    return {"published": len(REPORTS), "caller": described(caller)}


@router.post("/reports/retract")
async def retract(caller: Annotated[Caller, Depends(by_second_factor("reports:publish"))]) -> dict[str, Any]:
    return {"retracted": len(REPORTS), "caller": described(caller)}


def described(caller: Caller) -> dict[str, Any]:
    return {"sub": caller.sub, "client_id": caller.client_id, "is_machine": caller.is_machine}


async def explain_refused_token(request: Request, error: TokenRefused) -> Response:
    """RFC 6750 3: the challenge for programs, and the same as JSON for a human reader."""
    members = {"error": error.error, "error_description": error.description, **error.further}
    members = {name: value for name, value in members.items() if value}
    challenge = ", ".join(f'{name}="{value}"' for name, value in {"realm": REALM, **members}.items())
    body = members or {"error_description": "an access token is needed: Authorization: Bearer TOKEN"}
    return JSONResponse(body, error.status_code, {"WWW-Authenticate": f"Bearer {challenge}"})


async def explain_unavailable_provider(request: Request, error: ProviderUnavailable) -> Response:
    log.warning("an access token could not be checked: %s", error)
    body = {"error": "temporarily_unavailable", "error_description": "the token cannot be checked now, try again"}
    return JSONResponse(body, 503, {"Retry-After": "5"})
