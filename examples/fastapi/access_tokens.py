"""Access tokens that callers bring to the API of Reports, checked in either of two ways.

A JWT (RFC 9068) is checked here, by the provider's published keys: the provider is not asked, and a token that is withdrawn
stays good until it expires. An opaque token means nothing here: the provider is asked each time (introspection,
RFC 7662), and what is withdrawn is refused at once. Either way the token must be meant for this API (`aud`).
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import httpx2
from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, InvalidKeyIdError, JoseError
from joserfc.jwk import Key, KeySet

from provider import Provider, SignInFailed
from settings import Settings

log = logging.getLogger("uvicorn.error.reports")

# Never what the token itself says: `none`, or HS256 with a public key for a secret, would be forgeries (RFC 8725 3.1).
ALGORITHMS = ("RS256", "PS256", "ES256")
# Both spellings, whatever their case (RFC 9068 4). An id_token has another `typ`, so it is no access token.
TYPES = {"at+jwt", "application/at+jwt"}
# What a JWT access token must have (RFC 9068 2.2).
REQUIRED_CLAIMS = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")
# Seconds by which two clocks may differ.
LEEWAY = 10
# Seconds after which the keys are fetched again, and in which an unknown `kid` fetches them once at most: any caller can
# make tokens with a `kid` of their own, and they must not make this service ask the provider each time.
KEYS_MAX_AGE = 600
KEYS_MIN_AGE = 10
# Seconds. The caller waits meanwhile.
TIMEOUT = 5
# Longer is no token of ours.
MAX_LENGTH = 8192


@dataclass(frozen=True)
class Caller:
    """Who calls: a person by way of the client `client_id`, or, where `sub` is that client, a machine."""

    sub: str
    client_id: str
    scope: frozenset[str]

    @property
    def is_machine(self) -> bool:
        return self.sub == self.client_id


class TokenRefused(Exception):
    """RFC 6750 3.1. Without an `error` nothing was sent that could be wrong, and the challenge is bare."""

    def __init__(self, status_code: int, error: str = "", description: str = "", scope: str = "") -> None:
        super().__init__(description)
        self.status_code = status_code
        self.error = error
        self.description = description
        self.scope = scope


class ProviderUnavailable(Exception):
    """Whether the token is good cannot be said now: the fault is not the caller's."""


def invalid_token(description: str) -> TokenRefused:
    return TokenRefused(401, "invalid_token", description)


class AccessTokens:
    def __init__(self, settings: Settings, provider: Provider) -> None:
        self._settings = settings
        self._provider = provider
        self._client = httpx2.AsyncClient(timeout=TIMEOUT, verify=httpx2.create_ssl_context())
        self._keys = KeySet([])
        self._keys_fetched_at = self._keys_tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def close(self) -> None:
        await self._client.aclose()

    async def verify(self, token: str) -> Caller:
        """Checks a JWT access token by the published keys (RFC 9068 4)."""
        metadata = await self._metadata()
        try:
            header = jws.extract_compact(short(token).encode()).headers()
            if str(header.get("typ")).lower() not in TYPES:
                raise invalid_token("the token is not a JWT access token")
            if header.get("alg") not in ALGORITHMS:
                raise invalid_token("the token is signed by an algorithm that is not accepted here")
            key = await self._key(metadata["jwks_uri"], header.get("kid"))
            claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY,
                **{name: {"essential": True} for name in REQUIRED_CLAIMS}
                | {
                    "iss": {"essential": True, "value": metadata["issuer"]},
                    "aud": {"essential": True, "value": self._settings.api_audience},
                },
            ).validate(claims)
        except ExpiredTokenError as error:
            raise invalid_token("the token has expired") from error
        except (JoseError, ValueError, KeyError, TypeError) as error:
            # Which check failed is for who runs this service; a forger learns nothing from it.
            log.info("a JWT access token was refused: %s: %s", type(error).__name__, error)
            raise invalid_token("the token is not good here") from error
        return caller_of(claims)

    async def introspect(self, token: str) -> Caller:
        """Asks the provider about a token (RFC 7662 2), as the client that this API is."""
        metadata = await self._metadata()
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
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            # `invalid_client` as well: that is our registration, which no caller can fix.
            raise ProviderUnavailable(f"introspection: {type(error).__name__}: {error}") from error

    async def _metadata(self) -> Mapping[str, Any]:
        try:
            return await self._provider.metadata()
        except SignInFailed as error:
            raise ProviderUnavailable(str(error)) from error

    async def _key(self, jwks_uri: str, kid: str | None) -> Key:
        """Returns the key that a token names, from the kept ones if they are fresh and have it."""
        if time.monotonic() - self._keys_fetched_at < KEYS_MAX_AGE and kid in {key.kid for key in self._keys.keys}:
            return self._keys.get_by_kid(kid)
        async with self._fetching:
            # Another request may have fetched them while this request waited.
            if time.monotonic() - self._keys_tried_at >= KEYS_MIN_AGE or not self._keys.keys:
                await self._fetch_keys(jwks_uri)
        if kid is None:
            raise InvalidKeyIdError("the token names no key")
        return self._keys.get_by_kid(kid)

    async def _fetch_keys(self, jwks_uri: str) -> None:
        self._keys_tried_at = time.monotonic()
        try:
            response = await self._client.get(jwks_uri)
            response.raise_for_status()
            self._keys = KeySet.import_key_set(response.json())
            self._keys_fetched_at = self._keys_tried_at
        except (httpx2.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
            # Known keys stay: a provider that is away for a moment must not take this API along.
            log.warning("the provider's keys cannot be fetched: %s: %s", type(error).__name__, error)
            if not self._keys.keys:
                raise ProviderUnavailable(f"keys: {type(error).__name__}: {error}") from error


def short(token: str) -> str:
    if len(token) > MAX_LENGTH:
        raise invalid_token("the token is too long")
    return token


def caller_of(claims: Mapping[str, Any]) -> Caller:
    scope = claims.get("scope")
    return Caller(
        sub=claims["sub"],
        client_id=claims["client_id"],
        scope=frozenset(scope.split() if isinstance(scope, str) else ()),
    )
