"""The one port: its table of routes, who may use them, and what every answer carries."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from monitor.config.model import Web
from monitor.gauges import Gauges
from monitor.store.access import session_key
from monitor.store.errors import StoreError
from monitor.web import exposition, health, login, pages, speed
from monitor.web.access import GUARD, OPEN, Guard
from monitor.web.daemon import DAEMON, GAUGES, Daemon
from monitor.web.listener import Listener, listen

log = logging.getLogger("plumbline.web")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: No request of ours carries more; traffic has a port and a limit of its own.
_LARGEST_BODY = 64 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of the table: what may be asked, and the scope it takes."""

    methods: Sequence[str]
    path: str
    scope: str
    handler: Handler


_LOOK = ("GET", "HEAD")

ROUTES: tuple[Entry, ...] = (
    Entry(methods=_LOOK, path="/", scope="read", handler=pages.status),
    Entry(methods=_LOOK, path="/api/v1/status", scope="read", handler=pages.status_json),
    Entry(methods=_LOOK, path="/speed", scope="read", handler=speed.page),
    Entry(methods=_LOOK, path="/api/v1/speed", scope="read", handler=speed.as_json),
    Entry(methods=_LOOK, path="/metrics", scope="read", handler=exposition.metrics),
    Entry(methods=_LOOK, path="/-/healthy", scope=OPEN, handler=health.healthy),
    Entry(methods=_LOOK, path="/-/ready", scope=OPEN, handler=health.ready),
    Entry(methods=("POST", "PUT"), path="/-/reload", scope="admin", handler=health.reload),
    Entry(methods=_LOOK, path="/login", scope=OPEN, handler=login.show),
    Entry(methods=("POST",), path="/login", scope=OPEN, handler=login.log_in),
    Entry(methods=("POST",), path="/logout", scope=OPEN, handler=login.log_out),
    Entry(methods=_LOOK, path="/static/{name}", scope=OPEN, handler=pages.static),
)

_SCOPES = {(method, entry.path): entry.scope for entry in ROUTES for method in entry.methods}

#: Nothing is loaded that is not ours, nothing runs that stands in the page, nobody frames it. Other sites do
#: not learn what was looked at; with `no-referrer` our own forms would come with an Origin of `null`.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "plumbline",
}


@asynccontextmanager
async def serve(daemon: Daemon) -> AsyncIterator[Listener]:
    """Answers on `web.listen` while the block runs; yields the open port.

    Raises:
        TokensMissing: Others can reach the port, and there is no token.
        CannotListen: The address is taken or not one of ours, or its certificate cannot be used.
        StoreUnavailable: The database is away.
    """
    world = daemon.world

    def settings() -> Web:
        return daemon.runtime.config.web

    guard = Guard(daemon.store, world.clock, settings, key=await session_key(daemon.store))
    await guard.prepare()
    gauges = Gauges(daemon.store, daemon.runtime, daemon.channels, clock=world.clock, metrics=world.metrics)
    world.metrics.registry.register(gauges)
    try:
        async with listen(build(daemon, guard, gauges), settings) as listener:
            yield listener
    finally:
        world.metrics.registry.unregister(gauges)


def build(daemon: Daemon, guard: Guard, gauges: Gauges) -> web.Application:
    """The application behind the port."""
    app = web.Application(middlewares=[_answer, _admit], client_max_size=_LARGEST_BODY)
    app[DAEMON], app[GUARD], app[GAUGES] = daemon, guard, gauges
    for entry in ROUTES:
        for method in entry.methods:
            app.router.add_route(method, entry.path, entry.handler)
    app.on_response_prepare.append(_dress)
    return app


@web.middleware
async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what went wrong into an answer; the one place of the web where any exception ends."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except StoreError as error:
        return web.Response(text=f"{error}\n", status=503, headers={"Retry-After": "5"})
    except Exception:
        log.exception("%s %s failed; this is a bug", request.method, request.path)
        return web.Response(text="something went wrong here; the log says what\n", status=500)


@web.middleware
async def _admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Asks the guard. A route that is not in the table is nobody's: it is refused, not forgotten."""
    resource = request.match_info.route.resource
    if resource is not None:
        scope = _SCOPES.get((request.method, resource.canonical))
        if scope is None:
            raise web.HTTPForbidden(text="this route has no scope\n")
        await request.app[GUARD].admit(request, scope)
    return await handler(request)


async def _dress(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
