"""Deletes what the policy no longer keeps, in batches so that nobody waits long for the store."""

from datetime import datetime, timedelta

from sqlalchemy import Table, delete, select, text

from monitor.config.model import Retention
from monitor.store.engine import Store
from monitor.store.schema import month
from monitor.store.tables import detector_snapshots, events, reply_texts, results, round_stats, rounds

_BATCH = 5_000
#: A replay starts at the newest snapshot; a few older ones let a person look back.
_SNAPSHOTS_KEPT = timedelta(days=8)
#: Rounds and events are small and explain incidents, so they stay as long as the statistics do.
_EVENTS_WITH_STATS = (rounds.c.slot, events.c.at)


async def apply(store: Store, policy: Retention, now: datetime) -> dict[str, int]:
    """Deletes what is too old; says how many rows of which table went."""
    gone: dict[str, int] = {}
    async with store.write() as connection:
        kept_from = (now - _SNAPSHOTS_KEPT).date()
        await connection.execute(delete(detector_snapshots).where(detector_snapshots.c.day < kept_from))
    await _drop_partitions(store, now - policy.results)
    for column, age in (
        (reply_texts.c.seen, policy.replies),
        (results.c.at, policy.results),
        (round_stats.c.at, policy.round_stats),
        *((column, policy.round_stats) for column in _EVENTS_WITH_STATS),
    ):
        table = column.table
        assert isinstance(table, Table)  # noqa: S101 - columns of ours always have one
        gone[table.name] = await _older(store, table, column.name, now - age)
    return gone


async def _older(store: Store, table: Table, column: str, limit: datetime) -> int:
    at = table.c[column]
    total = 0
    while True:
        async with store.write() as connection:
            # The oldest batch's last time bounds the delete: one range instead of thousands of keys.
            edge = await connection.execute(
                select(at).where(at < limit).order_by(at).offset(_BATCH - 1).limit(1)
            )
            last = edge.scalar()
            done = await connection.execute(delete(table).where(at < limit if last is None else at <= last))
            total += done.rowcount
        if last is None:
            return total


async def _drop_partitions(store: Store, limit: datetime) -> None:
    """A month of results that is wholly too old goes at once (PostgreSQL)."""
    if store.is_sqlite:
        return
    async with store.write() as connection:
        found = await connection.execute(
            text(
                "SELECT relname FROM pg_class JOIN pg_inherits ON oid = inhrelid WHERE inhparent = 'result'::regclass"
            )
        )
        for (name,) in found.all():
            year, _, number = name.removeprefix("result_").partition("_")
            first = limit.replace(year=int(year), month=int(number), day=1)
            if month(first, 1) <= limit:
                await connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
