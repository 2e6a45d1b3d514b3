"""What the store says of itself, read beside the daemon as the command line does."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, Select, func, select, true, update

from monitor.store import schema
from monitor.store.engine import Store
from monitor.store.tables import baselines, notifications, results, rounds
from tests.fakes.llm import FakeLLM

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Books:
    """A store that is looked at while daemons live and die on it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        """All rows of a query."""
        async with self.store.read() as connection:
            found: Sequence[Row[Any]] = (await connection.execute(query)).all()
            return found

    async def count(self, query: Select[Any]) -> int:
        """How many rows a query has."""
        ((number,),) = await self.rows(select(func.count()).select_from(query.subquery()))
        return int(number)

    async def results(self, round_id: str | None = None) -> Sequence[Row[Any]]:
        """Stored attempts, of one round or of all."""
        query = select(results).order_by(results.c.at, results.c.seq)
        return await self.rows(query if round_id is None else query.where(results.c.round_id == round_id))

    async def rounds(self, *kinds: str) -> Sequence[Row[Any]]:
        """Rounds in the order of their slots, of all kinds or of these."""
        query = select(rounds).order_by(rounds.c.slot)
        return await self.rows(query.where(rounds.c.kind.in_(kinds)) if kinds else query)

    async def part_stored(self) -> bool:
        """Whether a round is under way of which something is stored."""
        open_now = select(rounds.c.id).where(rounds.c.state == "open")
        return bool(await self.count(select(results.c.id).where(results.c.round_id.in_(open_now))))

    async def judging(self) -> bool:
        """Whether every baseline that was begun has been accepted, and there is one."""
        states = [row.state for row in await self.rows(select(baselines.c.state))]
        return bool(states) and set(states) <= {"accepted", "retired"}

    async def expire(self, replica: str | None = None) -> None:
        """Lets the leases of the dead run out, rather than waiting for it; rounds of all, or of one of them.

        SQLite's daemon needs no such help: its lock says that the others are dead.
        """
        if self.store.is_sqlite:
            return
        dead = (rounds.c.state == "open") & (rounds.c.replica == replica if replica else true())
        async with self.store.write() as connection:
            await connection.execute(update(rounds).where(dead).values(lease_until=_LONG_AGO))
            await connection.execute(
                update(notifications).where(notifications.c.state == "sending").values(lease_until=_LONG_AGO)
            )


@asynccontextmanager
async def books(url: str) -> AsyncIterator[Books]:
    """Opens the books of a store, and makes its tables where there are none."""
    store = Store(url)
    try:
        await schema.prepare(store, migrate=True, now=datetime.now(UTC))
        yield Books(store)
    finally:
        await store.close()


def asked(llm: FakeLLM) -> Counter[str]:
    """Prompt -> how often the endpoint was asked it."""
    return Counter(each.prompt for each in llm.requests)


def prompts(rows: Sequence[Any]) -> Counter[str]:
    """Prompt -> how often stored attempts asked it; `basics/c7` asks `q7`."""
    return Counter(row.case_key.replace("basics/c", "q") for row in rows)
