"""The pages of Reports, each a small function: home, sign-in, the protected page, sign-out."""

import logging
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from forms import small_form
from provider import Provider, SignInFailed
from session import (
    FormTokens,
    SessionOrNone,
    SignedInPerson,
    begin_session,
    end_session,
    is_back_from_sign_out,
    local_path,
    login_address,
    mark_asked,
    was_asked_lately,
    with_role,
)
from session_store import Person

log = logging.getLogger("uvicorn.error.reports")

# Jinja2Templates escapes every value in files that end in `.html`.
templates = Jinja2Templates(directory=Path(__file__).parent / "templates")
router = APIRouter()


def the_provider(request: Request) -> Provider:
    return request.app.state.provider


def the_form_tokens(request: Request) -> FormTokens:
    return request.app.state.form_tokens


ProviderOfApp = Annotated[Provider, Depends(the_provider)]
FormTokensOfApp = Annotated[FormTokens, Depends(the_form_tokens)]
SmallForm = Annotated[dict[str, str], Depends(small_form)]


@router.get("/")
async def home(
    request: Request,
    provider: ProviderOfApp,
    session: SessionOrNone,
    form_tokens: FormTokensOfApp,
    state: str = "",
) -> Response:
    """Greets who is signed in. For anyone else the provider is asked once, without a page of its own: who signed in there for
    another service is in without a click."""
    if session is not None:
        context = {"person": session.person, "form_token": form_tokens.issue(session.person)}
        return templates.TemplateResponse(request, "home.html", context)
    signed_out = is_back_from_sign_out(request, state)
    if not signed_out and not was_asked_lately(request):
        # Before it is tried, so that whatever comes of it does not go round in circles.
        mark_asked(request)
        request.session["next"] = "/"
        try:
            return await provider.start_sign_in(request, silent=True)
        except SignInFailed as error:
            # The page itself needs no provider.
            log.warning("no silent sign-in: %s", error)
    return templates.TemplateResponse(request, "home.html", {"signed_out": signed_out})


@router.get("/login")
async def login(
    request: Request,
    provider: ProviderOfApp,
    wanted: Annotated[str, Query(alias="next")] = "/",
) -> Response:
    request.session["next"] = local_path(wanted)
    # A silent one in another tab would take the place of this one.
    mark_asked(request)
    return await provider.start_sign_in(request)


@router.get("/login/initiate")
async def initiate_login(request: Request, provider: ProviderOfApp, iss: str = "") -> Response:
    """The provider leads a person here who sat at its login page for long (OpenID Connect Core 4): the sign-in that it was for
    starts anew, and ends where it was to. `target_link_uri` is not read, or other sites could say where."""
    if not await provider.is_issuer(iss):
        explanation = "Another provider sent you here than the one that this service knows."
        return error_page(request, 400, "This sign-in was not started here.", explanation)
    return RedirectResponse(login_address(request.session.get("next", "/")), status_code=303)


@router.post("/login/initiate")
async def initiate_login_by_form(request: Request, provider: ProviderOfApp, form: SmallForm) -> Response:
    """The same by POST, which a provider may choose. From another site it brings no cookie."""
    return await initiate_login(request, provider, form.get("iss", ""))


@router.get("/auth/callback")
async def callback(request: Request, provider: ProviderOfApp) -> Response:
    session = await provider.finish_sign_in(request)
    # The cookie is signed, so this is still what `local_path` let through.
    next_path = request.session.get("next", "/")
    if session is not None:
        begin_session(request, session)
    return RedirectResponse(next_path, status_code=303)


@router.get("/reports")
async def reports(request: Request, person: SignedInPerson, form_tokens: FormTokensOfApp) -> Response:
    context = {"person": person, "form_token": form_tokens.issue(person)}
    return templates.TemplateResponse(request, "reports.html", context)


@router.get("/accounts")
async def accounts(
    request: Request,
    person: Annotated[Person, Depends(with_role("clerk"))],
    form_tokens: FormTokensOfApp,
) -> Response:
    context = {"person": person, "form_token": form_tokens.issue(person)}
    return templates.TemplateResponse(request, "accounts.html", context)


@router.post("/logout")
async def logout(
    request: Request,
    provider: ProviderOfApp,
    session: SessionOrNone,
    form_tokens: FormTokensOfApp,
    form: SmallForm,
) -> Response:
    """Ends the session here and continues at the provider, which ends its own and tells the other services."""
    if "session_id" not in request.session:
        # Another site's form brings no cookie. The answer must set none then: it would take the place of the user's.
        return RedirectResponse("/", status_code=303)
    if session is not None and not form_tokens.accepts(form.get("form_token", ""), session.person):
        explanation = "The form is too old or did not come from this service. You are still signed in."
        return error_page(request, 403, "You were not signed out.", explanation)
    state = end_session(request)
    try:
        address = await provider.sign_out_address(session, state)
    except SignInFailed as error:
        log.warning("signed out here only: %s", error)
        explanation = "The provider cannot be reached. You may still be signed in there and at other services."
        return error_page(request, 503, "You are signed out here only.", explanation)
    return RedirectResponse(address or "/", status_code=303)


def error_page(request: Request, status_code: int, title: str, explanation: str) -> Response:
    context = {
        "title": title,
        "explanation": explanation,
        "login_address": login_address(request.session.get("next", "/")),
    }
    return templates.TemplateResponse(request, "error.html", context, status_code=status_code)
