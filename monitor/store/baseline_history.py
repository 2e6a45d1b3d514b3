"""What people decide about baselines: which version judges, and what each version knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store import access, baselines
from monitor.store.baselines import ACCEPTED, PROVISIONAL, RETIRED, Baseline
from monitor.store.tables import case_references, events

#: States in which a version holds references that may judge.
_USABLE = frozenset({PROVISIONAL, ACCEPTED, RETIRED})

_WHY_NOT = {
    baselines.CAPTURING: "is still being captured; finish it with `plumbline baseline capture`",
    baselines.STALE: "was captured from another model or other parameters; capture a new one",
    baselines.REFUSED: "was refused, because too many attempts failed; capture a new one",
}


class NotUsable(Exception):
    """A version cannot judge, or there is none. The message says why and names the cure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What a version knows of one measure: how many cases, in how many runs."""

    cases: int
    runs: int
    total: float


async def known(connection: AsyncConnection, baseline: str) -> Mapping[str, Known]:
    """Measure -> what the version knows of it."""
    table = case_references
    found = await connection.execute(
        select(table.c.measure, func.count(), func.sum(table.c.runs), func.sum(table.c.total))
        .where(table.c.baseline == baseline)
        .group_by(table.c.measure)
        .order_by(table.c.measure)
    )
    return {
        measure: Known(cases=cases, runs=int(runs), total=float(total))
        for measure, cases, runs, total in found
    }


async def choose_to_accept(
    connection: AsyncConnection, endpoint: str, probe: str, subject: str, version: int | None
) -> Baseline:
    """The version that `accept` means: the one that is named, else the newest provisional one.

    Raises:
        NotUsable: There is none, or it cannot judge.
    """
    every = await baselines.versions(connection, endpoint, probe)
    if version is not None:
        chosen = next((each for each in every if each.version == version), None)
        if chosen is None:
            raise NotUsable(
                f"there is no version {version}; see `plumbline baseline list {probe} --endpoint {endpoint}`"
            )
        return _usable(chosen, subject)
    for each in every:
        if each.state == PROVISIONAL and each.subject == subject:
            return each
    cure = f"capture one with `plumbline baseline capture {probe} --endpoint {endpoint}`"
    raise NotUsable(f"no version waits to be accepted; {cure}")


async def choose_to_roll_back(
    connection: AsyncConnection, endpoint: str, probe: str, subject: str
) -> Baseline:
    """The newest retired version that was accepted once and is older than the one that judges now.

    Raises:
        NotUsable: There is none.
    """
    now = await baselines.active(connection, endpoint, probe, subject)
    for each in await baselines.versions(connection, endpoint, probe):
        older = now is None or each.version < now.version
        if older and each.state == RETIRED and each.accepted is not None and each.subject == subject:
            return each
    raise NotUsable("there is no earlier accepted version of this model and these parameters to go back to")


async def decide(
    connection: AsyncConnection, baseline: Baseline, *, what: str, who: str, why: str, now: datetime
) -> None:
    """Makes a version the one that judges, with its event and audit line; part of the caller's transaction.

    Args:
        connection: The transaction.
        baseline: The version.
        what: What was done, for people: "accepted" or "brought back".
        who: Who decided.
        why: The reason given.
        now: When.
    """
    await baselines.accept(connection, baseline, who=who, why=why, now=now)
    text = f"{baseline.probe}: baseline version {baseline.version} {what} by {who}: {why}"
    await connection.execute(
        insert(events).values(at=now, kind="baseline", endpoint=baseline.endpoint, text=text)
    )
    await access.record(
        connection,
        at=now,
        who=who,
        action=f"baseline {what}",
        object=f"{baseline.endpoint}/{baseline.probe}",
        why=why,
        detail={"id": baseline.id, "version": baseline.version},
    )


def _usable(chosen: Baseline, subject: str) -> Baseline:
    state = chosen.state if chosen.subject == subject else baselines.STALE
    if state not in _USABLE:
        raise NotUsable(f"version {chosen.version} {_WHY_NOT[state]}")
    return chosen
