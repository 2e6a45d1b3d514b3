"""Short ways to put rows into a store."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, func, select, update

from monitor.store import rounds
from monitor.store.engine import Store
from monitor.store.rounds import Claim
from monitor.store.tables import rounds as round_table
from tests.conftest import START

_ids = itertools.count(1)


def claim(id: str = "rnd_1", **fields: Any) -> Claim:
    """A claim of `bot/quality` on three cases."""
    panel = [{"seq": n, "key": f"basics/c{n}", "inclusion": 0.5, "split": "open"} for n in range(3)]
    values: dict[str, Any] = {
        "endpoint": "bot",
        "probe": "quality",
        "kind": "scheduled",
        "slot": START,
        "fence": 1,
        "panel": panel,
        "set_version": {"basics": 1},
    }
    return Claim(id=id, **{**values, **fields})


async def open_round(
    store: Store, of: Claim, *, replica: str = "rep_a", outcome: str | None = None, now: datetime = START
) -> bool:
    """Opens a round in a transaction of its own."""
    async with store.write() as connection:
        return await rounds.open_round(
            connection, store, of, replica=replica, config_hash="cfg", now=now, outcome=outcome
        )


async def opened(store: Store, count: int, **fields: Any) -> list[Claim]:
    """So many open rounds of different probes on one endpoint."""
    claims = [claim(f"rnd_{n:03}", probe=f"p{n:03}", **fields) for n in range(count)]
    for each in claims:
        assert await open_round(store, each)
    return claims


async def expire(store: Store, *ids: str) -> None:
    """The owners of these rounds fell silent long ago."""
    async with store.write() as connection:
        await connection.execute(
            update(round_table)
            .where(round_table.c.id.in_(ids))
            .values(lease_until=store.now_plus(timedelta(seconds=-1)))
        )


def result(of: Claim, seq: int = 0, **values: Any) -> dict[str, Any]:
    """One row of `result`."""
    row: dict[str, Any] = {
        "at": of.slot,
        "id": next(_ids),
        "round_id": of.id,
        "seq": seq,
        "endpoint": of.endpoint,
        "source": of.probe,
        "kind": of.kind,
        "case_key": f"basics/c{seq}",
        "ask_hash": "ask",
        "split": "open",
        "outcome": "ok",
        "detail": "",
        "started": of.slot,
        "elapsed": 0.5,
        "lag": 0.0,
        "reused": False,
        "score": 1.0,
        "scores": {"exact": {"value": 1.0}},
        "reply_hash": None,
    }
    return {**row, **values}


def reply(text: str = "hello", seen: datetime = START) -> dict[str, Any]:
    """One row of `reply_text`."""
    return {"hash": f"hash of {text}", "body": text.encode(), "seen": seen}


async def append(store: Store, of: Claim, rows: Sequence[Any], texts: Sequence[Any] = ()) -> None:
    """Appends in a transaction of its own."""
    async with store.write() as connection:
        await rounds.append(connection, store, of, rows, texts)


async def count(store: Store, table: Table, *where: Any) -> int:
    """Rows of a table."""
    async with store.read() as connection:
        found = await connection.execute(select(func.count()).select_from(table).where(*where))
        return int(found.scalar_one())
