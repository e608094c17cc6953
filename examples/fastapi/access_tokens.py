"""Access tokens that callers bring to the API of Reports, checked in either of two ways.

A JWT (RFC 9068) is checked here, by the provider's published keys: the provider is not asked, and a token that is withdrawn
stays good until it expires. An opaque token means nothing here: the provider is asked each time (introspection,
RFC 7662), and what is withdrawn is refused at once. Either way the token must be meant for this API (`aud`).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import httpx2

from settings import Settings
from signed_tokens import LEEWAY, TIMEOUT, ProviderUnavailable, SignedTokens, TokenNotGood, short

# Both spellings (RFC 9068 4). An id_token has another `typ`, so it is no access token.
TYPES = {"at+jwt", "application/at+jwt"}
# What a JWT access token must have (RFC 9068 2.2).
REQUIRED_CLAIMS = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")


@dataclass(frozen=True)
class Caller:
    """Who calls: a person by way of the client `client_id`, or, where `sub` is that client, a machine."""

    sub: str
    client_id: str
    scope: frozenset[str]
    # What the sign-in is worth, and when the oldest of it was proven; a machine has neither.
    acr: str = ""
    auth_time: int = 0

    @property
    def is_machine(self) -> bool:
        return self.sub == self.client_id


class TokenRefused(Exception):
    """RFC 6750 3.1. Without an `error` nothing was sent that could be wrong, and the challenge is bare.

    `further` are parameters of the challenge beside it: the `scope` that is needed, or what a sign-in must be (RFC 9470 3).
    """

    def __init__(self, status_code: int, error: str = "", description: str = "", **further: str) -> None:
        super().__init__(description)
        self.status_code = status_code
        self.error = error
        self.description = description
        self.further = further


def invalid_token(description: str) -> TokenRefused:
    return TokenRefused(401, "invalid_token", description)


class AccessTokens:
    def __init__(self, settings: Settings, signed_tokens: SignedTokens) -> None:
        self._settings = settings
        self._signed_tokens = signed_tokens
        self._client = httpx2.AsyncClient(timeout=TIMEOUT, verify=httpx2.create_ssl_context())

    async def close(self) -> None:
        await self._client.aclose()

    async def verify(self, token: str) -> Caller:
        """Checks a JWT access token by the published keys (RFC 9068 4)."""
        audience = self._settings.api_audience
        try:
            return caller_of(await self._signed_tokens.claims(token, TYPES, audience, REQUIRED_CLAIMS))
        except TokenNotGood as error:
            raise invalid_token(str(error)) from error

    async def introspect(self, token: str) -> Caller:
        """Asks the provider about a token (RFC 7662 2), as the client that this API is."""
        metadata = await self._signed_tokens.metadata()
        # Form-encoded before it is joined (RFC 6749 2.3.1).
        credentials = (quote_plus(self._settings.client_id), quote_plus(self._settings.client_secret))
        try:
            response = await self._client.post(
                metadata["introspection_endpoint"],
                data={"token": short(token), "token_type_hint": "access_token"},
                auth=credentials,
            )
            response.raise_for_status()
            answer = response.json()
            if answer["active"] is not True:
                raise invalid_token("the token has expired, was withdrawn, or is none")
            # The provider also tells us of tokens that are not for this API: those of Reports' own sign-in.
            audience = answer.get("aud", [])
            if self._settings.api_audience not in ([audience] if isinstance(audience, str) else audience):
                raise invalid_token("the token is not meant for this API")
            if answer.get("iss", metadata["issuer"]) != metadata["issuer"] or answer["exp"] <= time.time() - LEEWAY:
                raise invalid_token("the token is not good here")
            return caller_of(answer)
        except TokenNotGood as error:
            raise invalid_token(str(error)) from error
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            # `invalid_client` as well: that is our registration, which no caller can fix.
            raise ProviderUnavailable(f"introspection: {type(error).__name__}: {error}") from error


def caller_of(claims: Mapping[str, Any]) -> Caller:
    scope, acr, auth_time = claims.get("scope"), claims.get("acr"), claims.get("auth_time")
    return Caller(
        sub=claims["sub"],
        client_id=claims["client_id"],
        scope=frozenset(scope.split() if isinstance(scope, str) else ()),
        acr=acr if isinstance(acr, str) else "",
        auth_time=auth_time if isinstance(auth_time, int) else 0,
    )
