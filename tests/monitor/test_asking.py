"""Replies on their way into the store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.asking import Asker
from monitor.ids import RowIds
from monitor.store import rounds as claims
from monitor.store.engine import Store
from monitor.store.rounds import Claim
from monitor.store.tables import results
from probes import Reply, Request, Timings
from probes.clients.scripted import ScriptedSettings
from tests.conftest import Clock
from tests.monitor.look import rows
from tests.site import Site, bench


class SlowStore(Store):
    """A store whose writes wait, from the moment that it is told to, until it is let go."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.waits = False
        self.entered, self.reached, self.let_go = (asyncio.Event() for _ in range(3))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        if self.waits:
            self.reached.set()
            await self.let_go.wait()
        async with super().write() as connection:
            yield connection
        self.entered.set()


class LastWaits:
    """A client that answers at once, but the last of ten requests only when it is let go."""

    api: ClassVar[int] = 1
    Settings: ClassVar[type[BaseModel]] = ScriptedSettings

    def __init__(self) -> None:
        self.let_go, self.gone = asyncio.Event(), asyncio.Event()
        self._asked = 0

    async def ask(self, request: Request) -> Reply:
        self._asked += 1
        if self._asked == 10:
            await self.let_go.wait()
            self.gone.set()
        return Reply(text="a", timings=Timings(total=0.1))

    async def close(self) -> None: ...


async def test_a_reply_that_comes_during_a_write_is_stored_too(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path}/plumbline.db"
    async with bench(Site(tmp_path, url, "http://127.0.0.1:1/v1"), clock) as it:
        client, slow = LastWaits(), SlowStore(url)
        asker = Asker(
            judge=it.runtime.work.asker.judge,
            store=slow,
            clock=clock,
            row_ids=RowIds(it.runtime.world.rng),
            lag=it.runtime.lag,
            metrics=it.runtime.world.metrics,
            draining=lambda: False,
        )
        panel = [
            {"seq": seq, "key": f"basics/c{seq}", "inclusion": 1.0, "split": "open"} for seq in range(10)
        ]
        claim = Claim(
            id="rnd_1",
            endpoint="bot",
            probe="quality",
            kind="scheduled",
            slot=clock(),
            fence=1,
            panel=panel,
            set_version={},
        )
        async with it.store.write() as connection:
            await claims.open_round(connection, it.store, claim, replica="rep_1", config_hash="", now=clock())
        work = asyncio.create_task(asker.work(it.watch, claim, client, frozenset()))
        await slow.entered.wait()
        slow.waits = True
        await slow.reached.wait()  # nine replies are on their way into the store
        client.let_go.set()
        await client.gone.wait()
        for _ in range(100):
            await asyncio.sleep(0)  # all that is left of the asking needs no more than turns of the loop
        slow.let_go.set()
        assert await work
        assert len(await rows(it.store, results)) == 10
        await slow.close()
