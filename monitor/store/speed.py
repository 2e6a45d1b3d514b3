"""Reads single requests of a period, for their speed and cost: the one reader that walks through results.

It takes only the columns that it needs, in batches, into arrays: between two batches the event loop is free,
and the sums are made in a thread.
"""

import asyncio
from array import array
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain
from typing import Any

from sqlalchemy import Boolean, Float, Integer, cast, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.period import Period
from monitor.speed import Key, Requests, Speed, counted_as, speeds
from monitor.store.engine import Store
from monitor.store.tables import eval_set_cases, ledger, results, rounds

#: More requests than this are not read at once: at 80 bytes each they would take 160 MB.
MOST_REQUESTS = 2_000_000
#: A batch holds the event loop for a few milliseconds.
_BATCH = 1_000
#: How many rounds are told apart, the newest of the period.
MOST_ROUNDS = 50

#: By what requests may be told apart.
BY = ("probe", "tag", "round")

_FLOATS = (
    *("elapsed", "lag", "first_token", "between_tokens"),
    *("output_tokens", "reasoning_tokens", "cost_nano", "reused"),
)

#: Stands for NULL on the way: no time, count or price is negative.
_UNKNOWN = -1.0


class PeriodTooLarge(Exception):
    """The period holds more requests than are read at once; a shorter one, or one endpoint, holds fewer."""

    def __init__(self) -> None:
        super().__init__(
            f"there are more than {MOST_REQUESTS:,} requests in this period; choose a shorter one, or one endpoint"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Which requests, and how they are told apart.

    Attributes:
        period: Of the slots of their rounds.
        by: One of `BY`; empty for one group an endpoint.
        tag: Only cases that carry it.
        endpoint: Only this one.
    """

    period: Period
    by: str = ""
    tag: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeedRow:
    """One group; `slot`, `probe` and `kind` are a round's."""

    speed: Speed
    slot: datetime | None = None
    probe: str | None = None
    kind: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeedView:
    """The answer. `tags` are all that any case carries; `more_rounds` says that only the newest are shown."""

    at: datetime
    asked: Asked
    rows: Sequence[SpeedRow]
    tags: Sequence[str]
    more_rounds: bool


async def speed(store: Store, asked: Asked, now: datetime) -> SpeedView:
    """Speed and cost of the requests that were asked for.

    Raises:
        PeriodTooLarge: There are too many of them.
        StoreUnavailable: The database is away.
    """
    async with store.read() as connection:
        tags = await _tags(connection)
        shown = await _newest_rounds(connection, asked) if asked.by == "round" else {}
        found = await _requests(connection, asked, [*shown][:MOST_ROUNDS] if asked.by == "round" else None)
    made = await asyncio.to_thread(speeds, found, _grouping(asked, tags))
    rows = [_row(each, shown.get(each.group)) for each in made]
    if asked.by == "round":
        rows.sort(key=lambda row: (row.slot is not None, row.slot), reverse=True)
    return SpeedView(
        at=now,
        asked=asked,
        rows=rows,
        tags=sorted({tag for each in tags.values() for tag in each}),
        more_rounds=len(shown) > MOST_ROUNDS,
    )


async def spent_since(connection: AsyncConnection, day: date) -> dict[str, float]:
    """Endpoint -> dollars from a UTC day on, as the ledger has them."""
    found = await connection.execute(
        select(ledger.c.endpoint, func.sum(ledger.c.spent_nano))
        .where(ledger.c.day >= day)
        .group_by(ledger.c.endpoint)
    )
    return {endpoint: int(nano) / 1e9 for endpoint, nano in found}


def _row(made: Speed, of: Any | None) -> SpeedRow:
    if of is None:
        return SpeedRow(speed=made)
    return SpeedRow(speed=made, slot=of.slot, probe=of.probe, kind=of.kind)


def _grouping(asked: Asked, tags: Mapping[str, Sequence[str]]) -> Callable[[Key], Sequence[str]]:
    def groups(key: Key) -> Sequence[str]:
        _, second, case = key
        carried = tags.get(case, ())
        if asked.tag is not None and asked.tag not in carried:
            return ()
        if asked.by == "tag":
            return carried or ("",)
        return (second,) if asked.by else ("",)

    return groups


async def _tags(connection: AsyncConnection) -> dict[str, tuple[str, ...]]:
    """Case key -> its tags; those of retired cases too, for their requests are still there."""
    c = eval_set_cases.c
    query = select(c.eval_set, c.case_id, c.body["tags"]).order_by(c.retired.is_(None), c.added)
    rows = await connection.execute(query)
    return {f"{eval_set}/{case}": tuple(tags or ()) for eval_set, case, tags in rows}


async def _newest_rounds(connection: AsyncConnection, asked: Asked) -> dict[str, Any]:
    """Id -> round, newest first; one more than are shown, where there are more."""
    r = rounds.c
    query = select(r.id, r.slot, r.probe, r.kind).where(*_within(r.slot, r.endpoint, asked))
    rows = await connection.execute(query.order_by(r.slot.desc(), r.id).limit(MOST_ROUNDS + 1))
    return {row.id: row for row in rows}


def _within(at: Any, endpoint: Any, asked: Asked) -> list[Any]:
    wanted = [at >= asked.period.start, at < asked.period.end]
    return wanted if asked.endpoint is None else [*wanted, endpoint == asked.endpoint]


async def _requests(connection: AsyncConnection, asked: Asked, only: Collection[str] | None) -> Requests:
    c = results.c
    second = c.source if only is None else c.round_id
    query = select(c.endpoint, second, c.case_key, c.outcome, *(_float(c[name]) for name in _FLOATS))
    query = query.where(*_within(c.at, c.endpoint, asked)).limit(MOST_REQUESTS + 1)
    if only is not None:
        query = query.where(c.round_id.in_(only))
    columns = _Columns()
    async with connection.stream(query) as stream:
        async for batch in stream.partitions(_BATCH):
            columns.take(batch)
            if len(columns) > MOST_REQUESTS:
                raise PeriodTooLarge
    return await asyncio.to_thread(columns.requests)


def _float(column: Any) -> Any:
    """A column without NULL, and without the types that the driver would make of each value."""
    number = cast(column, Integer) if isinstance(column.type, Boolean) else column
    return func.coalesce(type_coerce(number, Float), _UNKNOWN, type_=Float)


class _Columns:
    """Rows as they come, as arrays. Built for a million of them: a row costs one look into a dictionary."""

    def __init__(self) -> None:
        self._heads: defaultdict[tuple[str, str, str, str], int] = defaultdict()
        self._heads.default_factory = self._heads.__len__
        self._head = array("q")
        self._floats = array("d")

    def __len__(self) -> int:
        return len(self._head)

    def take(self, batch: Sequence[Any]) -> None:
        """Takes rows: three words of a key, an outcome, and `_FLOATS`."""
        heads = self._heads
        self._head.extend([heads[row[:4]] for row in batch])
        self._floats.extend(chain.from_iterable([row[4:] for row in batch]))

    def requests(self) -> Requests:
        """All that came."""
        import numpy as np

        keys: dict[Key, int] = {}
        key = [keys.setdefault(head[:3], len(keys)) for head in self._heads]
        ended = [counted_as(head[3]) for head in self._heads]
        head = np.array(self._head, dtype=np.int64)
        floats = np.array(self._floats).reshape(-1, len(_FLOATS)).T
        floats[floats == _UNKNOWN] = np.nan
        named = dict(zip(_FLOATS, floats, strict=True))
        return Requests(
            keys=list(keys),
            key=np.array(key, dtype=np.int64)[head],
            ended=np.array(ended, dtype=np.int64)[head],
            cost=named.pop("cost_nano") / 1e9,
            **named,
        )
