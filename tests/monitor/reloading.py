"""An installation with some history whose files change: reloaded in place, or started anew."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor.store.tables import detector_states
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.look import rows
from tests.site import Bench, Site, answers, bench


@asynccontextmanager
async def changed(it: Bench, how: str, clock: Clock) -> AsyncIterator[Bench]:
    """The same installation under its changed files: reloaded in place, or started anew beside the old one."""
    if how == "reload":
        await it.reload()
        yield it
    else:
        async with bench(it.site, clock, seed=2) as other:
            yield other


#: Each way on one database: the ways share all that is written.
each_way = pytest.mark.parametrize(
    ("store_url", "how"), [("sqlite", "restart"), ("postgresql", "reload")], indirect=True
)


@asynccontextmanager
async def learnt(
    folder: Path, store_url: str, clock: Clock, rounds: int = 4
) -> AsyncIterator[tuple[FakeLLM, Bench]]:
    """A site with a baseline and a few rounds behind it."""
    known = answers() | {"q3, please": "a3"}
    async with FakeLLM(answers=known) as llm, bench(Site(folder, store_url, llm.url), clock) as it:
        await it.capture()
        await it.run(clock, rounds)
        yield llm, it


async def state_bytes(it: Bench) -> list[Any]:
    """Every detector state as it is stored."""
    return [(row.stream_id, row.seq, json.dumps(row.state)) for row in await rows(it.store, detector_states)]
