"""Sessions of people at the pages: a signed cookie, and the token that stands in each of their forms.

Nothing is kept of a session. Its cookie says whose it is and until when, and is worth something only while
that token is usable; so the end of a token is the end of its sessions.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from monitor.config.model import Web
from monitor.store.access import Token
from monitor.web.origin import is_over_tls

_NAME = "plumbline"
#: A browser takes a cookie of such a name only over TLS, from this very host, for all of its paths.
_NAME_OVER_TLS = "__Host-plumbline"


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Who is logged in, by the id of their token, and until when (whole seconds)."""

    token: str
    until: datetime


class Signer:
    """Writes and reads what only the holder of the key can write. Pure; knows nothing but the key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, session: Session) -> str:
        """The value of the cookie: `ID.SECONDS.MAC`, with an HMAC-SHA256 in hex over the first two."""
        said = _said(session)
        return f"{said}.{self._sign('session', said)}"

    def read(self, cookie: str, now: datetime) -> Session | None:
        """The session that a cookie speaks of; None where it was not written by us, or is over."""
        said, _, signature = cookie.rpartition(".")
        if not same(self._sign("session", said), signature):
            return None
        token, _, seconds = said.rpartition(".")
        session = Session(token=token, until=datetime.fromtimestamp(int(seconds), UTC))
        return session if now < session.until else None

    def form(self, session: Session) -> str:
        """What every form of this session carries, so that no other site can write one."""
        return self._sign("form", _said(session))

    def _sign(self, purpose: str, said: str) -> str:
        text = f"{purpose}:{said}".encode(errors="surrogateescape")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()


class Sessions:
    """The cookie of a request, and of its answer."""

    def __init__(self, key: bytes, clock: Callable[[], datetime], settings: Callable[[], Web]) -> None:
        self._signer = Signer(key)
        self._clock = clock
        self._settings = settings

    def of(self, request: web.Request) -> Session | None:
        """The session whose cookie came."""
        cookie = request.cookies.get(self._name(request))
        return self._signer.read(cookie, self._clock()) if cookie else None

    def form(self, session: Session) -> str:
        """What every form of this session carries."""
        return self._signer.form(session)

    def open(self, request: web.Request, answer: web.StreamResponse, token: Token) -> None:
        """Gives the browser a cookie that stands for the token while the session lasts."""
        lasts = self._settings().session
        session = Session(token=token.id, until=self._clock() + lasts)
        answer.set_cookie(
            self._name(request),
            self._signer.write(session),
            max_age=int(lasts.total_seconds()),
            secure=self._secure(request),
            httponly=True,
            samesite="Strict",
        )

    def close(self, request: web.Request, answer: web.StreamResponse) -> None:
        """Takes the cookie away from the browser."""
        secure = self._secure(request)
        answer.del_cookie(self._name(request), secure=secure, httponly=True, samesite="Strict")

    def _name(self, request: web.Request) -> str:
        return _NAME_OVER_TLS if self._secure(request) else _NAME

    def _secure(self, request: web.Request) -> bool:
        return is_over_tls(request, self._settings().external_url)


def same(ours: str, theirs: str) -> bool:
    """Whether both are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(ours.encode(), theirs.encode(errors="surrogateescape"))


def _said(session: Session) -> str:
    return f"{session.token}.{int(session.until.timestamp())}"
