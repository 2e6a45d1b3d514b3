"""A receiver of webhooks and heartbeats as a real server: it keeps what came in and answers as it is told.

In a test: `async with FakeHook() as hook: ... hook.url ...`.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson
from aiohttp import web


@dataclass(frozen=True)
class Call:
    """One request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return orjson.loads(self.raw)


class FakeHook:
    """The server.

    Attributes:
        calls: Every request, in order.
        on_call: Called with each request, on the server's thread.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.on_call: Callable[[Call], None] = lambda call: None
        self._faults: deque[tuple[int | str, dict[str, str]]] = deque()
        self._always: tuple[int | str, dict[str, str]] | None = None
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it listens, with something in the path that must never be shown."""
        return f"http://127.0.0.1:{self._port}/hook-key-1f3a"

    def fail_next(self, fault: int | str, **headers: str) -> None:
        """Lets one request fail: with a status, by `reset`, or by `hang`. Underscores in headers are dashes."""
        self._faults.append((fault, {name.replace("_", "-"): value for name, value in headers.items()}))

    def fail_always(self, fault: int | str | None) -> None:
        """Lets every request fail from now on; None ends that."""
        self._always = None if fault is None else (fault, {})

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        raw = await request.read()
        names = {name.lower(): value for name, value in request.headers.items()}
        call = Call(request.method, request.path_qs, names, raw)
        self.calls.append(call)
        self.on_call(call)
        fault, headers = self._faults.popleft() if self._faults else self._always or (200, {})
        if fault == "reset" and request.transport is not None:
            request.transport.abort()
        if fault == "hang":
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return web.Response(status=fault if isinstance(fault, int) else 200, headers=headers)
