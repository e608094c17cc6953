"""The session of this service: who is signed in here, and nothing of the provider's.

It is stored in a signed cookie (Starlette's `SessionMiddleware`): the browser can read it but not
change it. So it holds `sub`, `name` and `email`, and no token. While a sign-in is in progress,
Authlib keeps `state`, `nonce` and `code_verifier` in it as well.
"""

import re
from dataclasses import asdict, dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request
from itsdangerous import BadData, URLSafeTimedSerializer

# Longer than this no user stays signed in without asking the provider again.
SESSION_LIFETIME = 8 * 60 * 60


@dataclass(frozen=True)
class Person:
    """Who is signed in. Keep your own records under `sub`: the others change, and are not unique."""

    sub: str
    name: str | None
    email: str | None


class SignInRequired(Exception):
    """The page is for people who are signed in; `next_path` is where they wanted to go."""

    def __init__(self, next_path: str) -> None:
        super().__init__(next_path)
        self.next_path = next_path


def begin_session(request: Request, person: Person) -> None:
    """Starts from nothing, so that what was there before the sign-in does not live on."""
    request.session.clear()
    request.session["person"] = asdict(person)


def end_session(request: Request) -> None:
    request.session.clear()


def person_or_none(request: Request) -> Person | None:
    person = request.session.get("person")
    return Person(**person) if person else None


def signed_in_person(request: Request) -> Person:
    """The dependency of every protected page."""
    person = person_or_none(request)
    if person is None:
        query = f"?{request.url.query}" if request.url.query else ""
        raise SignInRequired(request.url.path + query)
    return person


PersonOrNone = Annotated[Person | None, Depends(person_or_none)]
SignedInPerson = Annotated[Person, Depends(signed_in_person)]


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
