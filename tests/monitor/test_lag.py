"""Our own lateness is seen, also by who asks before the sampler had its turn."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from monitor.lag import LoopLag

_STALL = 0.2


@pytest.fixture
async def lag() -> AsyncIterator[LoopLag]:
    made = LoopLag()
    task = asyncio.create_task(made.watch())
    await asyncio.sleep(0)
    yield made
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _sampled(lag: LoopLag, more: int = 1) -> None:
    wanted = len(lag._samples) + more
    while len(lag._samples) < wanted:
        await asyncio.sleep(0.01)


def test_who_was_never_watched_was_not_late() -> None:
    lag = LoopLag()
    assert (lag.latest, lag.worst(0.0)) == (0.0, 0.0)


async def test_a_stall_is_seen_and_dated(lag: LoopLag) -> None:
    loop = asyncio.get_running_loop()
    await _sampled(lag)
    before = loop.time()
    time.sleep(_STALL)  # noqa: ASYNC251 - the stall that is to be seen
    await _sampled(lag)
    after = loop.time()
    assert lag.latest > _STALL / 2
    assert lag.worst(before) > _STALL / 2
    await _sampled(lag)
    assert lag.worst(before) > _STALL / 2, "it is remembered"
    assert lag.worst(after) < lag.worst(before), "what began later does not suffer from it"


async def test_a_stall_is_seen_before_the_sampler_has_had_its_turn(lag: LoopLag) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    time.sleep(_STALL)  # noqa: ASYNC251 - the stall that is to be seen
    assert lag.worst(before) > _STALL / 2


async def test_after_the_end_nothing_is_overdue() -> None:
    lag = LoopLag()
    task = asyncio.create_task(lag.watch())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    time.sleep(0.06)  # noqa: ASYNC251 - longer than a sample
    assert lag.worst(0.0) == 0.0
