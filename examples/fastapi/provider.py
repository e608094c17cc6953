"""The OpenID Provider, as this service sees it: the one file that names Authlib.

Authlib's Starlette integration does the code flow (OpenID Connect Core 3.1) with PKCE S256 (RFC 7636),
`state` and `nonce`, and verifies the id_token's signature, `iss`, `exp`, `nonce` and `at_hash`.
What it leaves to its caller is done here: the issuer of the metadata (Discovery 4.3), the `iss` parameter
(RFC 9207), `state` on error answers, the id_token's `aud`, and the `sub` of userinfo (Core 5.3.2).

Tokens that others bring need nothing of it but `Provider.metadata()`: see `signed_tokens.py`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2
from authlib.integrations.starlette_client import OAuth, OAuthError
from fastapi import Request
from fastapi.responses import RedirectResponse
from joserfc.errors import JoseError

from session_store import Person, Session
from settings import Settings

# What a person sees for an error of the provider; any other is 400, a mistake in the request.
STATUS_OF_ERROR = {"access_denied": 403, "server_error": 502, "temporarily_unavailable": 503}

# What `prompt=none` finds instead of a user (Core 3.1.2.6): no mistake of anyone's.
ANSWERS_TO_SILENCE = {"login_required", "interaction_required", "consent_required", "account_selection_required"}


class SignInFailed(Exception):
    """The sign-in ended without a person. `title` and `explanation` are shown, `reason` is only logged."""

    def __init__(self, status_code: int, title: str, explanation: str, reason: str = "") -> None:
        # One line of the log, whatever line breaks an answer contained.
        super().__init__(" ".join(f"{title} {reason}".split()))
        self.status_code = status_code
        self.title = title
        self.explanation = explanation


class Provider:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = OAuth().register(
            "provider",
            server_metadata_url=settings.discovery_url,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            client_kwargs={
                "scope": "openid profile email",
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": "client_secret_basic",
                # Seconds. A provider that hangs must not take this service's connections with it.
                "timeout": 10,
                # Authlib makes an HTTP client for every call; reading the trust store each time is slow.
                "verify": httpx2.create_ssl_context(),
            },
        )

    async def metadata(self) -> Mapping[str, Any]:
        """Returns the discovery document, fetched when first needed and kept.

        Its `issuer` must be the one whose discovery URL was asked (Discovery 4.3), or the document of
        one provider could make this service believe another.
        """
        with explained_failures():
            metadata = await self._client.load_server_metadata()
        issuer = metadata.get("issuer")
        # An issuer may end in a slash, which its discovery URL does not repeat (Discovery 4.1).
        if issuer not in (self._settings.issuer, f"{self._settings.issuer}/"):
            # Not to be kept: the provider may be corrected while this service runs.
            self._client.server_metadata.clear()
            raise SignInFailed(
                502,
                "The provider is not the one expected.",
                "This is a mistake in the configuration, and trying again will not help.",
                f"issuer is {issuer!r}, expected {self._settings.issuer!r} from OIDC_DISCOVERY_URL",
            )
        return metadata

    async def is_issuer(self, issuer: str) -> bool:
        """Tells whether that is the provider whose sign-ins this service takes."""
        return issuer == (await self.metadata())["issuer"]

    async def start_sign_in(self, request: Request, *, silent: bool = False) -> RedirectResponse:
        """Sends the browser to the authorization endpoint, with `state`, `nonce` and a code challenge.

        A silent one shows the user no page of the provider's: who is not signed in there comes back as they were
        (`prompt=none`, Core 3.1.2.1).
        """
        await self.metadata()
        request.session["silent"] = silent
        return await self._client.authorize_redirect(
            request, self._settings.redirect_uri, **({"prompt": "none"} if silent else {})
        )

    async def finish_sign_in(self, request: Request) -> Session | None:
        """Turns the authorization response into a session, or raises `SignInFailed`.

        Returns `None` for a silent sign-in that found no user.
        """
        response = single_parameters(request)
        state = response.get("state", "")
        framework = self._client.framework
        # Authlib reads `error` before `state`. Asking for `state` first leaves a stranger no way to
        # put words on our pages.
        if await framework.get_state_data(request.session, state) is None:
            raise SignInFailed(
                400,
                "This sign-in is not known here.",
                "It was started in another browser, was finished already, or took too long.",
                "state does not match",
            )
        try:
            metadata = await self.metadata()
            check_issuer(response, metadata)
            if request.session.get("silent") and response.get("error") in ANSWERS_TO_SILENCE:
                return None
            check_authorization_response(response)
            return await self._redeem(request, metadata["issuer"])
        finally:
            # One answer spends the state, whatever became of it.
            await framework.clear_state_data(request.session, state)

    async def sign_out_address(self, session: Session | None, state: str) -> str | None:
        """Returns where a sign-out continues (RP-Initiated Logout 2); `None`: the provider has no such endpoint.

        Without a session there is no id_token to show, and the provider asks the user first.
        """
        metadata = await self.metadata()
        if not metadata.get("end_session_endpoint"):
            return None
        logout = await self._client.create_logout_url(
            post_logout_redirect_uri=self._settings.post_logout_redirect_uri,
            id_token_hint=session.id_token if session else None,
            state=state,
            client_id=self._settings.client_id,
        )
        return logout["url"]

    async def _redeem(self, request: Request, issuer: str) -> Session:
        # Authlib checks `iss` by itself and forgets `aud`; given either, it takes the whole list from us.
        claims_options = {
            "iss": {"essential": True, "value": issuer},
            "aud": {"essential": True, "value": self._settings.client_id},
        }
        with explained_failures():
            try:
                token = await self._client.authorize_access_token(request, claims_options=claims_options)
            except (JoseError, KeyError, TypeError):
                # Authlib fetches the JWKS again for an unknown `kid` only. Without this, an empty or
                # mistaken key set would stay until this service is restarted.
                self._client.server_metadata.pop("jwks", None)
                raise
            id_token_claims = token.get("userinfo")
            if id_token_claims is None:
                raise ValueError("the token response has no id_token")
            sid = id_token_claims.get("sid")
            if sid is not None and not isinstance(sid, str):
                raise ValueError("the id_token's sid is no text")
            # `name` and `email` may be in userinfo only. The access token ends here: nothing keeps it.
            userinfo = await self._client.userinfo(token=token)
        if userinfo.get("sub") != id_token_claims["sub"]:
            raise SignInFailed(
                502,
                "The provider's answers do not fit together.",
                "Please try again.",
                "userinfo and id_token have different sub",
            )
        person = Person(
            sub=userinfo["sub"],
            name=userinfo.get("name"),
            email=userinfo.get("email"),
            roles=texts_of(userinfo.get("role")),
        )
        return Session(person, sid, token["id_token"])


def texts_of(claim: Any) -> frozenset[str]:
    """Returns a claim that is one text or a list of them; anything else gives no role."""
    values = claim if isinstance(claim, list) else [claim]
    return frozenset(value for value in values if isinstance(value, str))


def single_parameters(request: Request) -> dict[str, str]:
    """Returns the query; a parameter must not be sent twice (RFC 6749 4.1.2 by way of 3.1)."""
    pairs = request.query_params.multi_items()
    if len(dict(pairs)) != len(pairs):
        raise SignInFailed(400, "This answer is malformed.", "A parameter was sent twice.")
    return dict(pairs)


def check_issuer(response: Mapping[str, str], metadata: Mapping[str, Any]) -> None:
    """Checks whose answer it is (RFC 9207 2.4)."""
    issuer = response.get("iss")
    if issuer is None and not metadata.get("authorization_response_iss_parameter_supported"):
        issuer = metadata["issuer"]
    if issuer != metadata["issuer"]:
        raise SignInFailed(
            400,
            "This answer came from another issuer.",
            "It was not used. Please start again.",
            f"iss is {issuer!r}, expected {metadata['issuer']!r}",
        )


def check_authorization_response(response: Mapping[str, str]) -> None:
    """Checks that it is a code and no error (RFC 6749 4.1.2)."""
    if "error" in response:
        error = response["error"]
        description = response.get("error_description", "")
        raise SignInFailed(
            STATUS_OF_ERROR.get(error, 400),
            "The sign-in was refused.",
            f"The provider answered {error}. {description}".strip(),
            f"error {error!r}, {description!r}",
        )
    if not response.get("code"):
        raise SignInFailed(400, "This answer is malformed.", "It carries neither a code nor an error.")


@contextmanager
def explained_failures() -> Iterator[None]:
    """Says for each failure behind the browser's back what it means to the person.

    The words of the provider's answers go to the log only: they are for who configured this client.
    """
    try:
        yield
    except OAuthError as error:
        # `invalid_grant` is an expired or used code. Everything else (`invalid_client`, ...) is our
        # registration, which the person cannot fix.
        raise SignInFailed(
            400 if error.error == "invalid_grant" else 502,
            "The code was not accepted.",
            "The sign-in could not be completed. Please start again.",
            f"token endpoint: {error.error!r}, {error.description!r}",
        ) from error
    except JoseError as error:
        raise SignInFailed(
            502,
            "The id_token was not accepted.",
            "The provider's answer could not be verified, so no user was signed in.",
            str(error),
        ) from error
    except httpx2.TransportError as error:
        raise SignInFailed(
            503,
            "The provider cannot be reached.",
            "Please try again in a moment.",
            f"{type(error).__name__}: {error}",
        ) from error
    except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
        # An HTTP error, no JSON, or JSON of another shape than the specifications'.
        raise SignInFailed(
            502,
            "The provider's answer was not understood.",
            "Please try again in a moment.",
            f"{type(error).__name__}: {error}",
        ) from error
