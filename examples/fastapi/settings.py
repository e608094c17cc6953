"""The settings of Reports, read from the environment once, at the start.

Nothing here is taken from a request: the provider is found by its discovery URL alone, and this
service's own address comes from `BASE_URL`, because a `Host` header is whatever the sender likes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

WELL_KNOWN = "/.well-known/openid-configuration"
LOOPBACK = {"localhost", "127.0.0.1", "::1"}

EXAMPLES = {
    "OIDC_DISCOVERY_URL": "http://localhost:8080/.well-known/openid-configuration",
    "OIDC_CLIENT_ID": "reports",
    "OIDC_CLIENT_SECRET": "the secret that `hallpass client new` printed once",
    "SESSION_SECRET": "32 characters or more, from: openssl rand -base64 32",
    "BASE_URL": "http://127.0.0.1:9300",
}


class BadSettings(Exception):
    """The service cannot start; each problem names the variable and shows an example."""


@dataclass(frozen=True)
class Settings:
    discovery_url: str
    client_id: str
    client_secret: str = field(repr=False)
    session_secret: str = field(repr=False)
    base_url: str

    @property
    def issuer(self) -> str:
        """The issuer that belongs to the discovery URL (OpenID Connect Discovery 4)."""
        return self.discovery_url.removesuffix(WELL_KNOWN)

    @property
    def issuer_origin(self) -> str:
        """Where a sign-out continues, as a Content-Security-Policy names it."""
        address = urlsplit(self.discovery_url)
        return f"{address.scheme}://{address.netloc}"

    @property
    def redirect_uri(self) -> str:
        return f"{self.base_url}/auth/callback"

    @property
    def post_logout_redirect_uri(self) -> str:
        """The home page, which says what became of a sign-out."""
        return f"{self.base_url}/"

    @property
    def api_audience(self) -> str:
        """The name of this service's API in access tokens (`aud`); the client's `resource` (RFC 8707)."""
        return f"{self.base_url}/api"

    @property
    def is_https(self) -> bool:
        return urlsplit(self.base_url).scheme == "https"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Reads every setting, so that one failed start names all that is wrong."""
    values = {name: environment.get(name, "").strip() for name in EXAMPLES}
    values["BASE_URL"] = (values["BASE_URL"] or EXAMPLES["BASE_URL"]).rstrip("/")
    problems = [
        f"{name} {problem}, for example {name}={EXAMPLES[name]!r}"
        for name, value in values.items()
        if (problem := problem_with(name, value))
    ]
    if problems:
        raise BadSettings("\n".join(problems))
    return Settings(
        discovery_url=values["OIDC_DISCOVERY_URL"],
        client_id=values["OIDC_CLIENT_ID"],
        client_secret=values["OIDC_CLIENT_SECRET"],
        session_secret=values["SESSION_SECRET"],
        base_url=values["BASE_URL"],
    )


def problem_with(name: str, value: str) -> str | None:
    if not value:
        return "is not set"
    if name == "SESSION_SECRET" and len(value) < 32:
        return "is too short to sign cookies with"
    if name == "OIDC_DISCOVERY_URL":
        if not value.endswith(WELL_KNOWN):
            return f"does not end in {WELL_KNOWN}"
        return problem_with_address(value)
    if name == "BASE_URL":
        return problem_with_address(value) or problem_with_path(value)
    return None


def problem_with_address(value: str) -> str | None:
    """Over plain http an attacker on the way reads codes and cookies: only within one machine."""
    try:
        address = urlsplit(value)
    except ValueError:
        return "is not an http or https address"
    if address.scheme not in {"http", "https"} or not address.hostname:
        return "is not an http or https address"
    if address.query or address.fragment or address.username is not None:
        return "carries more than an address (a query, a fragment or a user)"
    if address.scheme == "http" and address.hostname not in LOOPBACK:
        return "must be https, as its host is not this machine"
    return None


def problem_with_path(value: str) -> str | None:
    """The links of the pages and the path of the cookie start at the root."""
    return "must not have a path" if urlsplit(value).path else None
