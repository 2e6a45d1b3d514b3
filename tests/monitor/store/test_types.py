"""Times mean the same instant on both databases."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import StatementError

from monitor.store.engine import Store
from monitor.store.tables import replicas

_TIMES = (
    datetime(2026, 3, 2, 12, 0, 0, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=2))),
    datetime(2199, 12, 31, tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
)


async def test_a_time_comes_back_as_the_same_instant_in_utc(store: Store) -> None:
    rows = [{"id": f"r{n}", "seen": at, "version": "", "config_hash": ""} for n, at in enumerate(_TIMES)]
    async with store.write() as connection:
        await connection.execute(insert(replicas), rows)
    async with store.read() as connection:
        found = (await connection.execute(select(replicas.c.seen).order_by(replicas.c.id))).scalars().all()
        late = select(replicas.c.id).where(replicas.c.seen >= _TIMES[2]).order_by(replicas.c.seen)
        assert (await connection.execute(late)).scalars().all() == ["r2", "r3"]
    assert tuple(found) == _TIMES
    assert {at.tzinfo for at in found} == {UTC}


async def test_a_naive_time_is_refused_and_nothing_is_stored(store: Store) -> None:
    naive = datetime(2026, 3, 2)  # noqa: DTZ001 - the point of the test
    with pytest.raises(StatementError, match="must be aware"):
        async with store.write() as connection:
            await connection.execute(insert(replicas).values(id="r", seen=naive, version="", config_hash=""))
    async with store.read() as connection:
        assert (await connection.execute(select(replicas.c.id))).first() is None


async def test_leases_are_read_from_one_clock_that_speaks_utc(store: Store) -> None:
    async with store.read() as connection:
        now, later = (
            await connection.execute(select(store.now(), store.now_plus(timedelta(seconds=15))))
        ).one()
    assert now.tzinfo is UTC
    assert timedelta(seconds=14) < later - now < timedelta(seconds=16)
    assert abs(datetime.now(UTC) - now) < timedelta(hours=1)  # same machine: it is no local time
