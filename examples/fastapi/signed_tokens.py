"""JWTs that the provider signed for others to check: what access tokens and logout tokens have in common.

The provider is not asked about a token. Its keys are fetched now and then, and kept.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from typing import Any

import httpx2
from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, InvalidKeyIdError, JoseError
from joserfc.jwk import Key, KeySet

from provider import Provider, SignInFailed

log = logging.getLogger("uvicorn.error.reports")

# Never what the token itself says: `none`, or HS256 with a public key for a secret, would be forgeries (RFC 8725 3.1).
ALGORITHMS = ("RS256", "PS256", "ES256")
# Seconds by which two clocks may differ.
LEEWAY = 10
# Seconds after which the keys are fetched again, and in which an unknown `kid` fetches them once at most: any caller can
# make tokens with a `kid` of their own, and they must not make this service ask the provider each time.
KEYS_MAX_AGE = 600
KEYS_MIN_AGE = 10
# The same while there are none at all.
FIRST_KEYS_MIN_AGE = 1
# Seconds. The caller waits meanwhile.
TIMEOUT = 5
# Longer is no token of ours.
MAX_LENGTH = 8192


class TokenNotGood(Exception):
    """Told to the sender, so it says no more than a forger may know."""


class ProviderUnavailable(Exception):
    """Whether the token is good cannot be said now: the fault is not the caller's."""


class SignedTokens:
    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._client = httpx2.AsyncClient(timeout=TIMEOUT, verify=httpx2.create_ssl_context())
        self._keys = KeySet([])
        self._keys_fetched_at = self._keys_tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def close(self) -> None:
        await self._client.aclose()

    async def metadata(self) -> Mapping[str, Any]:
        try:
            return await self._provider.metadata()
        except SignInFailed as error:
            raise ProviderUnavailable(str(error)) from error

    async def claims(self, token: str, types: Collection[str], audience: str, required: Collection[str]) -> dict[str, Any]:
        """Returns what a JWT says, if its `typ` is among these and the provider signed it for this audience, for now."""
        metadata = await self.metadata()
        try:
            header = jws.extract_compact(short(token).encode()).headers()
            # Whatever its case (RFC 7515 4.1.9). It keeps tokens of one kind from being taken for another (RFC 8725 3.11).
            if str(header.get("typ")).lower() not in types:
                raise TokenNotGood("the token is of another kind")
            if header.get("alg") not in ALGORITHMS:
                raise TokenNotGood("the token is signed by an algorithm that is not accepted here")
            key = await self._key(metadata["jwks_uri"], header.get("kid"))
            claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY,
                **{name: {"essential": True} for name in required}
                | {
                    "iss": {"essential": True, "value": metadata["issuer"]},
                    "aud": {"essential": True, "value": audience},
                },
            ).validate(claims)
        except ExpiredTokenError as error:
            raise TokenNotGood("the token has expired") from error
        except (JoseError, ValueError, KeyError, TypeError) as error:
            # Which check failed is for who runs this service; a forger learns nothing from it, and gets one line of the log.
            log.info("a JWT was refused: %s: %s", type(error).__name__, " ".join(str(error).split()))
            raise TokenNotGood("the token is not good here") from error
        return claims

    async def _key(self, jwks_uri: str, kid: str | None) -> Key:
        """Returns the key that a token names, from the kept ones if they are fresh and have it."""
        if time.monotonic() - self._keys_fetched_at < KEYS_MAX_AGE and kid in {key.kid for key in self._keys.keys}:
            return self._keys.get_by_kid(kid)
        async with self._fetching:
            # Another request may have tried while this request waited.
            if time.monotonic() - self._keys_tried_at >= (KEYS_MIN_AGE if self._keys.keys else FIRST_KEYS_MIN_AGE):
                await self._fetch_keys(jwks_uri)
            if not self._keys.keys:
                raise ProviderUnavailable("there are no keys of the provider yet")
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


def short(token: str) -> str:
    if len(token) > MAX_LENGTH:
        raise TokenNotGood("the token is too long")
    return token
