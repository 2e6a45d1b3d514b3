"""Who may do what on the one port.

AccessError
├── TokensMissing    others can reach the port, and there is no token: the daemon does not start
└── CannotListen     the address cannot be used

Where others can reach the port, every request carries a token. On loopback no token is asked for until
one is made; until then a web page of somebody else's, opened in a browser on this machine, is the
attacker to keep out: it cannot choose the Host that it calls us by, nor hide its Origin.
"""

import ipaddress
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Never
from urllib.parse import SplitResult, urlsplit

from aiohttp import web

from monitor.config.model import Web
from monitor.store import access
from monitor.store.access import Token
from monitor.store.engine import Store
from monitor.store.errors import StoreUnavailable

#: The scope of what anybody may ask.
OPEN = "open"

#: For how long tokens are believed without looking; a change is promised to work within 5 s.
_BELIEVED = timedelta(seconds=4)
_TOUCHED_EVERY = timedelta(minutes=1)
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})


class AccessError(Exception):
    """The port cannot be opened as configured; the message names the cure."""


class TokensMissing(AccessError):
    """Others can reach the port, and there is no token."""


class CannotListen(AccessError):
    """The address is taken, or not one of ours."""


class Guard:
    """Lets requests pass, or answers them with 401 or 403."""

    def __init__(self, store: Store, clock: Callable[[], datetime], settings: Callable[[], Web]) -> None:
        """Knows nothing yet; `prepare` looks for the first time.

        Args:
            store: Where tokens are kept.
            clock: The time.
            settings: The web section as it holds now; a reload may change it.
        """
        self._store = store
        self._clock = clock
        self._settings = settings
        self._local = is_loopback(settings().host)
        self._tokens: list[Token] = []
        self._looked: datetime | None = None
        self._touched: dict[str, datetime] = {}

    async def prepare(self) -> None:
        """Looks at the tokens before the port opens.

        Raises:
            TokensMissing: Others can reach the port, and there is no token.
            StoreUnavailable: The database is away.
        """
        await self._look()
        if not self._local and not self._tokens:
            raise TokensMissing(
                f"web.listen is {self._settings().listen}, which others can reach, and there is no token yet; "
                "run `plumbline token create NAME --scope read`, or listen on 127.0.0.1"
            )

    async def admit(self, request: web.Request, scope: str) -> None:
        """Passes where the request may do what needs `scope`.

        Raises:
            web.HTTPUnauthorized: A token is needed, and none or an unknown one came.
            web.HTTPForbidden: The token lacks the scope, or the request came from another site.
        """
        if scope == OPEN or (request.path == "/metrics" and self._settings().metrics == OPEN):
            return
        tokens = await self._known()
        if self._local and not tokens:
            self._admit_local(request)
            return
        kind, _, plain = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not plain.strip():
            _ask_for_token("a token is needed: send `Authorization: Bearer plb_...`", "")
        token = access.find(tokens, plain.strip())
        if token is None:
            _ask_for_token("this token is not known, or was revoked", ', error="invalid_token"')
        if not token.allows(scope):
            raise web.HTTPForbidden(
                text=f"this needs a token with scope {scope}; {token.name} has {', '.join(token.scopes)}\n",
                headers={
                    "WWW-Authenticate": f'Bearer realm="plumbline", error="insufficient_scope", scope="{scope}"'
                },
            )
        await self._touch(token)

    def _admit_local(self, request: web.Request) -> None:
        outside = _split(self._settings().external_url or "")
        host = _split(f"//{request.host}").hostname or ""
        if not (is_loopback(host) or (host and host == outside.hostname)):
            raise web.HTTPForbidden(
                text="this daemon is not known by that name; use http://127.0.0.1, or set web.external_url\n"
            )
        origin = request.headers.get("Origin")
        if request.method in _HARMLESS or origin is None:
            return
        ours = {request.host.lower(), outside.netloc.lower()} - {""}
        if _split(origin).netloc.lower() not in ours:
            raise web.HTTPForbidden(text="a page of another site may not do this\n")

    async def _known(self) -> list[Token]:
        """The usable tokens. While the store is away, those it held last: nobody can change them either."""
        now = self._clock()
        if self._looked is None or not timedelta(0) <= now - self._looked < _BELIEVED:
            try:
                await self._look()
            except StoreUnavailable:
                if self._looked is None:
                    raise
        return self._tokens

    async def _look(self) -> None:
        now = self._clock()
        async with self._store.read() as connection:
            self._tokens = await access.usable(connection)
        self._looked = now

    async def _touch(self, token: Token) -> None:
        now, last = self._clock(), self._touched.get(token.id)
        if last is not None and timedelta(0) <= now - last < _TOUCHED_EVERY:
            return
        self._touched[token.id] = now
        try:
            await access.used(self._store, token, now)
        except StoreUnavailable:
            return  # when it was last used is not worth an answer


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host; a name other than localhost may be anybody's."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(url: str) -> SplitResult:
    """The parts of a URL that a stranger wrote; empty ones where it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _ask_for_token(text: str, error: str) -> Never:
    raise web.HTTPUnauthorized(
        text=f"{text}\n", headers={"WWW-Authenticate": f'Bearer realm="plumbline"{error}'}
    )
