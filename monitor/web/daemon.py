"""What the web needs of the daemon; `monitor.app.App` is one, tests may bring another."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from aiohttp import web

from monitor.gauges import Gauges
from monitor.runtime import World
from monitor.store.engine import Store
from monitor.store.overview import Running


class Ready(Protocol):
    """One line of readiness."""

    @property
    def name(self) -> str:
        """What was checked."""
        ...

    @property
    def ok(self) -> bool:
        """Whether it is well."""
        ...

    @property
    def why(self) -> str:
        """What is wrong where it is not."""
        ...


class Daemon(Protocol):
    """The daemon behind the port."""

    world: World
    store: Store

    @property
    def runtime(self) -> Running:
        """The config that holds, and its watches."""
        ...

    def channels(self) -> list[str]:
        """The names of all channels."""
        ...

    async def ready(self) -> Sequence[Ready]:
        """Whether it can do its job."""
        ...

    async def reload(self) -> list[str]:
        """Takes the config over again; says what changed."""
        ...


DAEMON: web.AppKey[Daemon] = web.AppKey("daemon", Daemon)
GAUGES: web.AppKey[Gauges] = web.AppKey("gauges", Gauges)


def now(request: web.Request) -> datetime:
    """The daemon's time."""
    return request.app[DAEMON].world.clock()
