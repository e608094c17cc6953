"""Who is signed in in this browser, and what it did about that lately.

The cookie is signed (Starlette's `SessionMiddleware`): the browser can read it but not change it. It holds the id of the session
and nothing of the user; the session itself is in `session_store.py`, so that an old cookie brings no ended session back. While a
sign-in is in progress, Authlib keeps `state`, `nonce` and `code_verifier` in the cookie as well.
"""

import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, HTTPException, Request
from itsdangerous import BadData, URLSafeTimedSerializer

from session_store import SESSION_LIFETIME, Person, Session, SessionStore

# Seconds in which the home page does not ask the provider by itself again. What matters is that it does not go round in circles,
# and that a user who has just signed out, or is about to sign in in another tab, is left in peace.
ASKED_LATELY = 2 * 60


# Seconds after which a page that demands a role asks the provider again: a role that was taken away is gone by then.
ROLES_MAX_AGE = 5 * 60


class SignInRequired(Exception):
    """The page is for people who are signed in; `next_path` is where they wanted to go."""

    def __init__(self, next_path: str) -> None:
        super().__init__(next_path)
        self.next_path = next_path


def the_sessions(request: Request) -> SessionStore:
    return request.app.state.sessions


def begin_session(request: Request, session: Session) -> None:
    """Starts from nothing, so that what was there before the sign-in does not live on."""
    the_sessions(request).end(request.session.get("session_id", ""))
    request.session.clear()
    request.session["session_id"] = the_sessions(request).begin(session)


def end_session(request: Request) -> str:
    """Ends the session here; returns the `state` by which the browser's return from the provider is known."""
    the_sessions(request).end(request.session.get("session_id", ""))
    request.session.clear()
    mark_asked(request)
    request.session["signed_out_state"] = state = secrets.token_urlsafe(16)
    return state


def is_back_from_sign_out(request: Request, state: str) -> bool:
    """Whether the provider has ended its session too and sent the browser back (RP-Initiated Logout 2): said once."""
    expected = request.session.get("signed_out_state")
    if expected is None or not secrets.compare_digest(expected.encode(), state.encode()):
        return False
    del request.session["signed_out_state"]
    return True


def mark_asked(request: Request) -> None:
    request.session["asked_at"] = int(time.time())


def was_asked_lately(request: Request) -> bool:
    return time.time() - request.session.get("asked_at", 0) < ASKED_LATELY


# These are `async` only because FastAPI would take them to other threads otherwise, and the store is not made for that.


async def session_or_none(request: Request) -> Session | None:
    return the_sessions(request).find(request.session.get("session_id", ""))


async def signed_in_person(request: Request) -> Person:
    """The dependency of every protected page."""
    session = await session_or_none(request)
    if session is None:
        query = f"?{request.url.query}" if request.url.query else ""
        raise SignInRequired(request.url.path + query)
    return session.person


SessionOrNone = Annotated[Session | None, Depends(session_or_none)]
SignedInPerson = Annotated[Person, Depends(signed_in_person)]


def with_role(role: str) -> Callable[..., Awaitable[Person]]:
    """The dependency of a page for users of a role. A role that was told long ago is asked for anew: the sign-in at the provider
    answers at once, and without a page."""

    async def person(request: Request, person: SignedInPerson, session: SessionOrNone) -> Person:
        if session is None or time.time() - session.told_at > ROLES_MAX_AGE:
            raise SignInRequired(request.url.path)
        if role not in person.roles:
            raise HTTPException(403, f"This page is for users with the role {role}")
        return person

    return person


def local_path(wanted: str) -> str:
    """Returns `wanted` if it is a path of this service, and `/` otherwise.

    Browsers read `//host` and `/\\host` as another host and drop tabs and line breaks on the way,
    so an open redirect hides in each of them. The length is bounded because it goes into a cookie.
    """
    if len(wanted) <= 1000 and re.fullmatch(r"/(?!/)[^\\\x00-\x20\x7f]*", wanted):
        return wanted
    return "/"


def login_address(next_path: str) -> str:
    return f"/login?next={quote(next_path, safe='/')}"


class FormTokens:
    """Tokens in the forms of a signed-in person (cross-site request forgery).

    `SameSite=Lax` already keeps the cookie out of other sites' POSTs. Ports and sibling hosts are
    the same site, however, and there the token is what stops them.
    """

    def __init__(self, session_secret: str) -> None:
        self._serializer = URLSafeTimedSerializer(session_secret, salt="reports.form")

    def issue(self, person: Person) -> str:
        return self._serializer.dumps(person.sub)

    def accepts(self, token: str, person: Person) -> bool:
        try:
            return self._serializer.loads(token, max_age=SESSION_LIFETIME) == person.sub
        except BadData:
            return False
