"""The pages of Reports, each a small function: home, sign-in, the protected page, sign-out."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from provider import Provider
from session import (
    FormTokens,
    PersonOrNone,
    SignedInPerson,
    begin_session,
    end_session,
    local_path,
    login_address,
)

# Jinja2Templates escapes every value in files that end in `.html`.
templates = Jinja2Templates(directory=Path(__file__).parent / "templates")
router = APIRouter()


def the_provider(request: Request) -> Provider:
    return request.app.state.provider


def the_form_tokens(request: Request) -> FormTokens:
    return request.app.state.form_tokens


ProviderOfApp = Annotated[Provider, Depends(the_provider)]
FormTokensOfApp = Annotated[FormTokens, Depends(the_form_tokens)]


@router.get("/")
async def home(request: Request, person: PersonOrNone, form_tokens: FormTokensOfApp) -> Response:
    form_token = form_tokens.issue(person) if person else None
    return templates.TemplateResponse(request, "home.html", {"person": person, "form_token": form_token})


@router.get("/login")
async def login(
    request: Request,
    provider: ProviderOfApp,
    wanted: Annotated[str, Query(alias="next")] = "/",
) -> Response:
    request.session["next"] = local_path(wanted)
    return await provider.start_sign_in(request)


@router.get("/auth/callback")
async def callback(request: Request, provider: ProviderOfApp) -> Response:
    person = await provider.finish_sign_in(request)
    # The cookie is signed, so this is still what `local_path` let through.
    next_path = request.session.get("next", "/")
    begin_session(request, person)
    return RedirectResponse(next_path, status_code=303)


@router.get("/reports")
async def reports(request: Request, person: SignedInPerson, form_tokens: FormTokensOfApp) -> Response:
    context = {"person": person, "form_token": form_tokens.issue(person)}
    return templates.TemplateResponse(request, "reports.html", context)


@router.post("/logout")
async def logout(
    request: Request,
    person: PersonOrNone,
    form_tokens: FormTokensOfApp,
    form_token: Annotated[str, Form()] = "",
) -> Response:
    """Ends the session here. The provider's own session, and those of other services, continue."""
    if person is not None:
        if not form_tokens.accepts(form_token, person):
            explanation = "The form is too old or did not come from this service. You are still signed in."
            return error_page(request, 403, "You were not signed out.", explanation)
        end_session(request)
    return RedirectResponse("/", status_code=303)


def error_page(request: Request, status_code: int, title: str, explanation: str) -> Response:
    context = {
        "title": title,
        "explanation": explanation,
        "login_address": login_address(request.session.get("next", "/")),
    }
    return templates.TemplateResponse(request, "error.html", context, status_code=status_code)
