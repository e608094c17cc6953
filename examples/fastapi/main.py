"""Reports: a FastAPI service whose people sign in at an OpenID Provider found by its discovery URL.

    uvicorn main:app --port 9300

`settings.py` reads the environment, `provider.py` speaks OpenID Connect, `session.py` and `session_store.py` remember who is
signed in, `pages.py` has the routes for people, `back_channel.py` hears of sign-outs elsewhere; `access_tokens.py` checks what
other services and machines bring, `api.py` has the routes for them. This file puts them together.
"""

import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.sessions import SessionMiddleware

import api
import back_channel
import pages
from access_tokens import AccessTokens, TokenRefused
from forms import MalformedForm
from provider import Provider, SignInFailed
from session import FormTokens, SignInRequired, login_address
from session_store import SESSION_LIFETIME, SessionStore
from settings import BadSettings, Settings, read_settings
from signed_tokens import ProviderUnavailable, SignedTokens

# A child of uvicorn's logger, so that it speaks without any set-up of its own.
log = logging.getLogger("uvicorn.error.reports")

SECURITY_HEADERS = {
    # The address of the callback holds a code, which must not reach another site.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Pages name a person, and the way there names a state.
    "Cache-Control": "no-store",
}


def content_security_policy(settings: Settings) -> str:
    """`form-action` bounds redirects too, and a sign-out continues at the provider."""
    return (
        f"default-src 'none'; style-src 'self'; form-action 'self' {settings.issuer_origin}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def create_app(settings: Settings) -> FastAPI:
    # No generated API pages: they load scripts of other sites. No redirects to put a slash right either:
    # they would repeat the Host header.
    app = FastAPI(title="Reports", openapi_url=None, redirect_slashes=False, lifespan=close_at_the_end)
    app.state.provider = Provider(settings)
    app.state.sessions = SessionStore()
    app.state.form_tokens = FormTokens(settings.session_secret)
    app.state.signed_tokens = SignedTokens(app.state.provider)
    app.state.access_tokens = AccessTokens(settings, app.state.signed_tokens)
    app.state.logout_tokens = back_channel.LogoutTokens(settings, app.state.signed_tokens)
    app.include_router(pages.router)
    app.include_router(back_channel.router)
    app.include_router(api.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    app.exception_handler(SignInRequired)(send_to_login)
    app.exception_handler(SignInFailed)(explain_failed_sign_in)
    app.exception_handler(TokenRefused)(api.explain_refused_token)
    app.exception_handler(ProviderUnavailable)(api.explain_unavailable_provider)
    app.exception_handler(RequestValidationError)(explain_malformed_request)
    app.exception_handler(MalformedForm)(explain_malformed_request)
    app.exception_handler(HTTPException)(explain_http_error)
    add_session(app, settings)
    add_security_headers(app, settings)
    return app


@asynccontextmanager
async def close_at_the_end(app: FastAPI) -> AsyncIterator[None]:
    yield
    await app.state.access_tokens.close()
    await app.state.signed_tokens.close()


def add_session(app: FastAPI, settings: Settings) -> None:
    """`Lax`, not `Strict`: the callback is a navigation that another site starts."""
    app.add_middleware(
        SessionMiddleware,
        secret_key=settings.session_secret,
        # Cookies ignore ports, so the name must be this service's own on a shared host.
        session_cookie="__Host-reports_session" if settings.is_https else "reports_session",
        max_age=SESSION_LIFETIME,
        same_site="lax",
        https_only=settings.is_https,
    )


def add_security_headers(app: FastAPI, settings: Settings) -> None:
    headers = {**SECURITY_HEADERS, "Content-Security-Policy": content_security_policy(settings)}

    @app.middleware("http")
    async def add(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers.update(headers)
        return response


async def send_to_login(request: Request, error: SignInRequired) -> Response:
    return RedirectResponse(login_address(error.next_path), status_code=303)


async def explain_failed_sign_in(request: Request, error: SignInFailed) -> Response:
    log.warning("sign-in failed with %d: %s", error.status_code, error)
    return pages.error_page(request, error.status_code, error.title, error.explanation)


async def explain_malformed_request(request: Request, error: RequestValidationError | MalformedForm) -> Response:
    return pages.error_page(request, 400, "This request is malformed.", "Please go back and try again.")


async def explain_http_error(request: Request, error: HTTPException) -> Response:
    if request.url.path.startswith(f"{api.PREFIX}/"):
        response: Response = JSONResponse({"error_description": error.detail}, error.status_code)
    else:
        response = pages.error_page(request, error.status_code, f"{error.detail}.", "There is nothing to see here.")
    response.headers.update(error.headers or {})
    return response


def settings_or_exit() -> Settings:
    try:
        return read_settings(os.environ)
    except BadSettings as problems:
        sys.exit(f"Reports cannot start:\n{problems}")


app = create_app(settings_or_exit())
