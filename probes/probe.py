"""Asks a panel of cases and scores the replies: the one place where an exception becomes an outcome."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime

from probes.client import Client
from probes.outcome import Outcome
from probes.result import Ask, Result

#: Called before each request: None lets it go, an outcome (no_budget, store_busy, drained ...) ends the attempt.
Admit = Callable[[Ask], Awaitable[Outcome | None]]


async def run(
    client: Client,
    asks: Sequence[Ask],
    *,
    admit: Admit,
    clock: Callable[[], datetime],
    concurrency: int = 8,
    timeout: float = 60.0,
    lag: Callable[[], float] = lambda: 0.0,
) -> AsyncIterator[Result]:
    raise NotImplementedError
    yield
