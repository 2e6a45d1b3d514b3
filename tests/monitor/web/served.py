"""The port over real HTTP: a real store and runtime, with as little of a daemon around them as it asks for."""

import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

import aiohttp

from monitor.app import Check
from monitor.runtime import Runtime, World
from monitor.store.access import create_token
from monitor.store.engine import Store
from monitor.web.app import serve
from monitor.web.listener import Listener
from tests.site import Bench


@dataclass
class Daemon:
    """What `serve` asks of a daemon; tests say how ready it is and what a reload does."""

    world: World
    store: Store
    runtime: Runtime
    checks: list[Check] = field(default_factory=lambda: [Check(name="store", ok=True)])
    reloads: Callable[[], list[str]] = list

    def channels(self) -> list[str]:
        return ["log"]

    async def ready(self) -> list[Check]:
        return self.checks

    async def reload(self) -> list[str]:
        return self.reloads()


class Port:
    """A client of the port: `await port.get("/metrics", token=...)` gives (status, text, headers)."""

    def __init__(
        self, daemon: Daemon, listener: Listener, session: aiohttp.ClientSession, trusted: str | None
    ) -> None:
        self.daemon = daemon
        self.listener = listener
        self.number = listener.port
        self.trusted = trusted
        self._session = session
        self._made = 0

    @property
    def address(self) -> str:
        """Scheme, host and port, as a browser's Origin."""
        return f"{'http' if self.trusted is None else 'https'}://127.0.0.1:{self.number}"

    async def ask(
        self,
        method: str,
        path: str,
        token: str | None = None,
        data: Mapping[str, str] | bytes | None = None,
        **headers: str,
    ) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        trust = True if self.trusted is None else ssl.create_default_context(cafile=self.trusted)
        async with self._session.request(
            method, f"{self.address}{path}", headers=sent, data=data, ssl=trust, allow_redirects=False
        ) as answer:
            return answer.status, await answer.text(), answer.headers

    async def get(self, path: str, token: str | None = None, **headers: str) -> Any:
        return await self.ask("GET", path, token, None, **headers)

    async def token(self, *scopes: str, name: str = "t") -> str:
        """A token of these scopes, as the command line would make it, and time for it to be seen."""
        self._made += 1
        world = self.daemon.world
        plain = await create_token(self.daemon.store, name, scopes, world.clock(), f"tok_{self._made}")
        world.clock.advance(seconds=5)  # type: ignore[attr-defined]  # tests bring a clock that can
        return plain


class Browser:
    """A person with a browser: it keeps the cookie, and sends what browsers send of themselves."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.cookie = ""

    async def open(self, path: str, **headers: str) -> Any:
        return await self.port.get(path, Accept="text/html,*/*;q=0.8", **self._kept(), **headers)

    async def send(self, path: str, fields: Mapping[str, str], method: str = "POST", **headers: str) -> Any:
        sent = {"Origin": self.port.address, **self._kept(), **headers}
        found = await self.port.ask(method, path, data=fields, **sent)
        for name, morsel in SimpleCookie(found[2].get("Set-Cookie", "")).items():
            self.cookie = f"{name}={morsel.value}" if morsel.value else ""
        return found

    async def log_in(self, token: str, next: str = "/") -> Any:
        return await self.send("/login", {"token": token, "next": next})

    async def form(self) -> str:
        """What the page's own form carries."""
        _, text, _ = await self.open("/login")
        found = re.search('name="csrf" value="([0-9a-f]{64})"', text)
        return found[1] if found else ""

    def _kept(self) -> dict[str, str]:
        return {"Cookie": self.cookie} if self.cookie else {}


@asynccontextmanager
async def served(bench: Bench, *, trusted: str | None = None) -> AsyncIterator[Port]:
    """Opens the port of a bench; where it speaks TLS, `trusted` is the certificate that clients trust."""
    daemon = Daemon(world=bench.runtime.world, store=bench.store, runtime=bench.runtime)
    async with serve(daemon) as listener, aiohttp.ClientSession() as session:
        yield Port(daemon, listener, session, trusted)
