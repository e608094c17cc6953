"""The sessions of this service, kept here and not in the browser, so that they can be ended from outside.

In memory, for one process: a restart ends them all, and users who are still signed in at the provider are in again at once.
For several processes, keep the same in a store that all of them see: a random id, `Session`, and when it ends.

Nothing here waits, and all of it runs on the event loop, so no two requests are ever in the middle of it.
"""

import secrets
import time
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field

# Seconds. Longer than this no user stays signed in without asking the provider again.
SESSION_LIFETIME = 8 * 60 * 60
# The most that are kept; beyond that the oldest ends. One takes one or two kilobytes, most of it the id_token.
MAX_SESSIONS = 10_000


@dataclass(frozen=True)
class Person:
    """Who is signed in. Keep your own records under `sub`: the others change, and are not unique."""

    sub: str
    name: str | None
    email: str | None
    # What this service calls roles: the claim `role`, as the provider's row of this client maps it.
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Session:
    """What a sign-in came to."""

    person: Person
    # The session at the provider (OpenID Connect Back-Channel Logout 2.1), by which it tells of its end.
    sid: str | None
    # As it came; a sign-out shows it to the provider (RP-Initiated Logout 2).
    id_token: str = field(repr=False)
    # When the provider said so; what a user may do is not believed for as long as who they are.
    told_at: float = field(default_factory=time.time, compare=False)


class SessionStore:
    def __init__(self) -> None:
        # All live equally long, so the first is always the next to end.
        self._sessions: OrderedDict[str, tuple[Session, float]] = OrderedDict()
        self._of_sid: defaultdict[str, set[str]] = defaultdict(set)
        self._of_sub: defaultdict[str, set[str]] = defaultdict(set)

    def begin(self, session: Session) -> str:
        """Keeps a session; returns the id that the browser shows for it."""
        self._make_room()
        session_id = secrets.token_urlsafe(32)
        self._sessions[session_id] = (session, time.time() + SESSION_LIFETIME)
        self._of_sub[session.person.sub].add(session_id)
        if session.sid is not None:
            self._of_sid[session.sid].add(session_id)
        return session_id

    def find(self, session_id: str) -> Session | None:
        session, ends_at = self._sessions.get(session_id, (None, 0.0))
        return session if time.time() < ends_at else None

    def end(self, session_id: str) -> None:
        if session_id not in self._sessions:
            return
        session, _ = self._sessions.pop(session_id)
        forget(self._of_sub, session.person.sub, session_id)
        if session.sid is not None:
            forget(self._of_sid, session.sid, session_id)

    def end_named(self, sid: str | None, sub: str | None) -> int:
        """Ends what a logout token names (Back-Channel Logout 2.7): the session `sid`, or where it names none, every session of
        the user `sub`. Returns how many there were."""
        if sid is not None:
            named = self._of_sid.get(sid, set())
        else:
            named = self._of_sub.get(sub or "", set())
        ended = list(named)
        for session_id in ended:
            self.end(session_id)
        return len(ended)

    def _make_room(self) -> None:
        now = time.time()
        while self._sessions:
            oldest, (_, ends_at) = next(iter(self._sessions.items()))
            if now < ends_at and len(self._sessions) < MAX_SESSIONS:
                return
            self.end(oldest)


def forget(index: defaultdict[str, set[str]], key: str, session_id: str) -> None:
    index[key].discard(session_id)
    if not index[key]:
        del index[key]
