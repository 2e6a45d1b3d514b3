"""Looks into the store as a checker does: rows, and everything that judging depends on."""

from typing import Any

from sqlalchemy import Table, select

from monitor.store import incidents
from monitor.store.engine import Store
from monitor.store.tables import case_references, detector_states, events, residual_samples, streams


async def rows(store: Store, table: Table, *where: Any) -> list[Any]:
    """Rows of a table in the order of its primary key."""
    async with store.read() as connection:
        query = select(table).where(*where).order_by(*table.primary_key.columns)
        return list((await connection.execute(query)).all())


async def states(store: Store) -> dict[str, Any]:
    """Measure -> the stored row of its stream's detector."""
    async with store.read() as connection:
        found = await connection.execute(
            select(streams.c.measure, detector_states).join(
                detector_states, detector_states.c.stream_id == streams.c.id
            )
        )
        return {row.measure: row for row in found}


async def knowledge(store: Store, measure: str) -> tuple[Any, Any, Any]:
    """All that a stream knows: detector state, case references, residuals."""
    state = (await states(store)).get(measure)
    references = await rows(store, case_references, case_references.c.measure == measure)
    residuals = await rows(store, residual_samples, residual_samples.c.measure == measure)
    return (state.state if state else None), [tuple(row) for row in references], [tuple(r) for r in residuals]


async def open_incidents(store: Store) -> list[Any]:
    """Incidents that are not resolved."""
    async with store.read() as connection:
        return await incidents.load_open(connection)


async def all_incidents(store: Store) -> list[Any]:
    """Every incident, the newest first."""
    async with store.read() as connection:
        return await incidents.recent(connection, 100)


async def told(store: Store, kind: str) -> list[str]:
    """The texts of all events of a kind."""
    return [row.text for row in await rows(store, events, events.c.kind == kind)]
