"""A bench on which no measured time is trusted: a busy machine then raises no alarm of its own about latency."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from monitor.lag import LoopLag
from tests import site
from tests.conftest import Clock
from tests.site import Bench, Site


class Late(LoopLag):
    """An event loop that is always late: too late for short times, not late enough to excuse a deadline."""

    def worst(self, since: float) -> float:
        return 0.2


@asynccontextmanager
async def bench(of: Site, clock: Clock, seed: int = 1) -> AsyncIterator[Bench]:
    """As `tests.site.bench`, without the streams that measure time."""
    async with site.bench(of, clock, seed) as it:
        it.runtime.lag = Late()
        yield it
