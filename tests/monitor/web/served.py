"""The port over real HTTP: a real store and runtime, with as little of a daemon around them as it asks for."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from monitor.app import Check
from monitor.runtime import Runtime, World
from monitor.store.access import create_token
from monitor.store.engine import Store
from monitor.web.app import serve
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

    def __init__(self, daemon: Daemon, port: int, session: aiohttp.ClientSession) -> None:
        self.daemon = daemon
        self.number = port
        self._session = session
        self._made = 0

    async def ask(self, method: str, path: str, token: str | None = None, **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        url = f"http://127.0.0.1:{self.number}{path}"
        async with self._session.request(method, url, headers=sent) as answer:
            return answer.status, await answer.text(), answer.headers

    async def get(self, path: str, token: str | None = None, **headers: str) -> Any:
        return await self.ask("GET", path, token, **headers)

    async def token(self, *scopes: str, name: str = "t") -> str:
        """A token of these scopes, as the command line would make it, and time for it to be seen."""
        self._made += 1
        world = self.daemon.world
        plain = await create_token(self.daemon.store, name, scopes, world.clock(), f"tok_{self._made}")
        world.clock.advance(seconds=5)  # type: ignore[attr-defined]  # tests bring a clock that can
        return plain


@asynccontextmanager
async def served(bench: Bench) -> AsyncIterator[Port]:
    """Opens the port of a bench."""
    daemon = Daemon(world=bench.runtime.world, store=bench.store, runtime=bench.runtime)
    async with serve(daemon) as number, aiohttp.ClientSession() as session:
        yield Port(daemon, number, session)
