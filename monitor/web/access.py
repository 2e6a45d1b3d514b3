"""Who may do what on the one port.

AccessError
├── TokensMissing    others can reach the port, and there is no token: the daemon does not start
└── CannotListen     the address cannot be used

Where others can reach the port, every request carries a token, or the cookie of a session that was opened
with one. On loopback no token is asked for until one is made; until then a web page of somebody else's,
opened in a browser on this machine, is the attacker to keep out: it cannot choose the Host that it calls us
by, nor hide its Origin. A browser adds the cookie to whatever asks for it, so what changes something by
cookie must come from a page of ours and carry what stands in the forms of that session.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Never
from urllib.parse import quote

from aiohttp import web

from monitor.config.model import Web
from monitor.store import access
from monitor.store.access import Token
from monitor.store.engine import Store
from monitor.web import form
from monitor.web.known import KnownTokens
from monitor.web.origin import HARMLESS, from_our_page, is_loopback, knows_us, way_up
from monitor.web.session import Sessions, same

#: The scope of what anybody may ask.
OPEN = "open"

#: Who follows a link from elsewhere, a message for one, comes without the cookie, because it is SameSite=Strict.
#: The same address asked for by a page of ours comes with it.
_ELSEWHERE = ("cross-site", "same-site")
_ONCE_MORE = '<!doctype html><meta http-equiv="refresh" content="0"><title>Plumbline</title>One moment.\n'


class AccessError(Exception):
    """The port cannot be opened as configured; the message names the cure."""


class TokensMissing(AccessError):
    """Others can reach the port, and there is no token."""


class CannotListen(AccessError):
    """The address is taken, or not one of ours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Visitor:
    """Who asks.

    Attributes:
        token: What they came with, or logged in with.
        form: What the forms of their session carry; None where they came with the token itself.
    """

    token: Token
    form: str | None = None

    @property
    def name(self) -> str:
        """The name of their token."""
        return self.token.name


_VISITOR = web.RequestKey("visitor", Visitor)


class Guard:
    """Lets requests pass, or answers them with 401, 403 or 429, or with the way to the login."""

    def __init__(
        self, store: Store, clock: Callable[[], datetime], settings: Callable[[], Web], *, key: bytes
    ) -> None:
        """Knows no token yet; `prepare` looks for the first time.

        Args:
            store: Where tokens are kept.
            clock: The time.
            settings: The web section as it holds now; a reload may change it.
            key: What sessions are signed with.
        """
        self.tokens = KnownTokens(store, clock)
        self.sessions = Sessions(key, clock, settings)
        self._store = store
        self._clock = clock
        self._settings = settings
        self._local = is_loopback(settings().host)

    async def prepare(self) -> None:
        """Looks at the tokens before the port opens.

        Raises:
            TokensMissing: Others can reach the port, and there is no token.
            StoreUnavailable: The database is away.
        """
        if not await self.tokens.all() and not self._local:
            raise TokensMissing(
                f"web.listen is {self._settings().listen}, which others can reach, and there is no token yet; "
                "run `plumbline token create NAME --scope read`, or listen on 127.0.0.1"
            )

    async def admit(self, request: web.Request, scope: str) -> None:
        """Passes where the request may do what needs `scope`; then `visitor_of` knows who came.

        Raises:
            web.HTTPUnauthorized: A token is needed, and none or an unknown one came.
            web.HTTPForbidden: The token lacks the scope, or the request came from another site.
            web.HTTPTooManyRequests: Too many unknown tokens came from this address.
            web.HTTPSeeOther: A person with a browser has to log in first.
        """
        changes = request.method not in HARMLESS
        if not changes and (
            scope == OPEN or (request.path == "/metrics" and self._settings().metrics == OPEN)
        ):
            return
        if await self.asks_nobody():
            self._keep_others_out(request)
            return
        kind, _, plain = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and plain.strip():
            visitor: Visitor | None = await self._by_token(request, plain.strip())
        else:
            visitor = await self.logged_in(request)
            if changes and (visitor is not None or scope == OPEN):
                await self._check_form(request, visitor)
        if visitor is None and scope != OPEN:
            _ask_for_token(request)
        if visitor is not None:
            _check_scope(visitor.token, scope)
            request[_VISITOR] = visitor
            await self.tokens.touch(visitor.token)

    async def asks_nobody(self) -> bool:
        """Whether no token is asked for: on loopback, until one is made."""
        return self._local and not await self.tokens.all()

    async def logged_in(self, request: web.Request) -> Visitor | None:
        """Who is logged in, by their cookie."""
        session = self.sessions.of(request)
        if session is None:
            return None
        for token in await self.tokens.all():
            if token.id == session.token:
                return Visitor(token=token, form=self.sessions.form(session))
        return None

    async def audit(self, request: web.Request, action: str, object: str, *, token: Token | None) -> None:
        """Writes into the audit trail what somebody did through the port.

        Raises:
            StoreUnavailable: The database is away.
        """
        detail = {"address": request.remote} | ({} if token is None else {"token": token.id})
        async with self._store.write() as connection:
            await access.record(
                connection,
                at=self._clock(),
                who="somebody on this machine" if token is None else token.name,
                action=action,
                object=object,
                detail=detail,
            )

    async def _by_token(self, request: web.Request, plain: str) -> Visitor:
        token = await self.tokens.recognise(request, plain)
        if token is None:
            _refuse("this token is not known, or was revoked", ', error="invalid_token"')
        return Visitor(token=token)

    async def _check_form(self, request: web.Request, visitor: Visitor | None) -> None:
        """Lets pass only what a page of ours sent; where somebody is logged in, a page of their session."""
        self._keep_others_out(request)
        if from_our_page(request, self._settings().external_url) is None:
            raise web.HTTPForbidden(
                text="nothing says which page sent this; programs send `Authorization: Bearer plb_...`\n"
            )
        if visitor is None or visitor.form is None:
            return
        if not same(visitor.form, await form.proof(request)):
            raise web.HTTPForbidden(text="this page is out of date; load it again, then try once more\n")

    def _keep_others_out(self, request: web.Request) -> None:
        """Refuses what a page of another site may have sent."""
        outside = self._settings().external_url
        if self._local and not knows_us(request, outside):
            raise web.HTTPForbidden(
                text="this daemon is not known by that name; use 127.0.0.1, or set web.external_url\n"
            )
        if request.method not in HARMLESS and from_our_page(request, outside) is False:
            raise web.HTTPForbidden(
                text="a page of another site may not do this; "
                "behind a proxy, set web.external_url to the address that people use\n"
            )


GUARD: web.AppKey[Guard] = web.AppKey("guard", Guard)


def visitor_of(request: web.Request) -> Visitor | None:
    """Who came with a token, or is logged in; None where nobody was asked."""
    return request.get(_VISITOR)


def _check_scope(token: Token, scope: str) -> None:
    if scope != OPEN and not token.allows(scope):
        challenge = f'Bearer realm="plumbline", error="insufficient_scope", scope="{scope}"'
        raise web.HTTPForbidden(
            text=f"this needs a token with scope {scope}; {token.name} has {', '.join(token.scopes)}\n",
            headers={"WWW-Authenticate": challenge},
        )


def _ask_for_token(request: web.Request) -> Never:
    """Shows a person the way to the login, and tells a program what it lacks."""
    if request.method in HARMLESS and "text/html" in request.headers.get("Accept", ""):
        if request.headers.get("Sec-Fetch-Site") in _ELSEWHERE:
            raise web.HTTPOk(text=_ONCE_MORE, content_type="text/html")
        raise web.HTTPSeeOther(f"{way_up(request)}login?next={quote(request.path_qs, safe='/')}")
    _refuse("a token is needed: send `Authorization: Bearer plb_...`", "")


def _refuse(text: str, error: str) -> Never:
    raise web.HTTPUnauthorized(
        text=f"{text}\n", headers={"WWW-Authenticate": f'Bearer realm="plumbline"{error}'}
    )
