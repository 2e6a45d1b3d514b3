"""Claimed slots: opened once, appended to under a fence, taken over when their owner is gone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.engine import Store
from monitor.store.errors import Superseded
from monitor.store.schema import ensure_partitions, month
from monitor.store.tables import endpoints, exposures, replicas, reply_texts, results, rounds

#: A silent owner loses its round after this long, by the database's clock.
LEASE = timedelta(seconds=15)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A round that this process may work on until somebody raises the fence.

    `panel` holds one object per attempt: {"seq", "key", "inclusion", "split"}, and "role" where the case was not
    just in its turn.
    """

    id: str
    endpoint: str
    probe: str
    kind: str
    slot: datetime
    fence: int
    panel: Sequence[Mapping[str, Any]]
    set_version: Mapping[str, int]
    baseline: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What detection wishes the next round to ask besides its panel.

    Attributes:
        again: Cases whose reply was unlikely.
        burst: Whether the evidence is worth more cases sooner.
    """

    again: Sequence[str] = ()
    burst: bool = False


NO_WISHES = Wishes()


async def wishes(connection: AsyncConnection, endpoint: str, probe: str) -> Wishes:
    """What the newest judged round of a probe wished for."""
    found = await connection.execute(
        select(rounds.c.wishes)
        .where(
            rounds.c.endpoint == endpoint,
            rounds.c.probe == probe,
            rounds.c.kind == "scheduled",
            rounds.c.counts.is_not(None),
        )
        .order_by(rounds.c.slot.desc())
        .limit(1)
    )
    wished = found.scalar()
    return Wishes(**wished) if wished else NO_WISHES


async def wish(connection: AsyncConnection, claim: Claim, wished: Wishes) -> None:
    """Keeps what the next round should ask besides."""
    if wished != NO_WISHES:
        values = {"again": list(wished.again), "burst": wished.burst}
        await connection.execute(update(rounds).where(rounds.c.id == claim.id).values(wishes=values))


async def standing(
    connection: AsyncConnection, *, endpoint: str, probe: str, kind: str, slot: datetime
) -> str:
    """Whether a slot can be opened: "free", "taken" (somebody has it) or "overlapped" (a round is open)."""
    mine = (rounds.c.endpoint == endpoint) & (rounds.c.probe == probe)
    taken = select(rounds.c.id).where(mine, rounds.c.kind == kind, rounds.c.slot == slot)
    if (await connection.execute(taken)).first() is not None:
        return "taken"
    running = select(rounds.c.id).where(mine, rounds.c.state == "open")
    return "overlapped" if (await connection.execute(running)).first() is not None else "free"


async def open_round(
    connection: AsyncConnection,
    store: Store,
    claim: Claim,
    *,
    replica: str,
    config_hash: str,
    now: datetime,
    outcome: str | None = None,
) -> bool:
    """Writes the claim; False where another replica was faster. With an `outcome` the round is closed at once."""
    if month(claim.slot) != month(now):  # the newest slot of a long interval may lie months back
        await ensure_partitions(connection, store, claim.slot)
    row = {
        "id": claim.id,
        "endpoint": claim.endpoint,
        "probe": claim.probe,
        "kind": claim.kind,
        "slot": claim.slot,
        "state": "open" if outcome is None else "closed",
        "outcome": outcome,
        "replica": replica,
        "fence": claim.fence,
        "lease_until": store.now_plus(LEASE),
        "baseline": claim.baseline,
        "panel": list(claim.panel),
        "set_version": dict(claim.set_version),
        "config_hash": config_hash,
        "opened": now,
        "closed": None if outcome is None else now,
    }
    done = await connection.execute(store.insert(rounds).values(row).on_conflict_do_nothing())
    return bool(done.rowcount)


async def hold(connection: AsyncConnection, store: Store, claim: Claim, **values: Any) -> None:
    """Renews the lease, and writes `values`, if the round is still ours.

    Raises:
        Superseded: Somebody else raised the fence or closed the round.
    """
    done = await connection.execute(
        update(rounds)
        .where(rounds.c.id == claim.id, rounds.c.fence == claim.fence, rounds.c.state == "open")
        .values(lease_until=store.now_plus(LEASE), **values)
    )
    if done.rowcount != 1:
        raise Superseded(f"round {claim.id} was taken over")


async def append(
    connection: AsyncConnection,
    store: Store,
    claim: Claim,
    rows: Sequence[Mapping[str, Any]],
    texts: Sequence[Mapping[str, Any]],
) -> None:
    """Stores finished attempts and their texts under the claim's fence.

    Raises:
        Superseded: The round is no longer ours.
    """
    await hold(connection, store, claim)
    statement = store.insert(results)
    await connection.execute(
        statement.on_conflict_do_nothing(index_elements=["at", "round_id", "seq"]), list(rows)
    )
    if texts:
        statement = store.insert(reply_texts)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["hash"], set_={"seen": statement.excluded.seen}),
            sorted(texts, key=lambda text: str(text["hash"])),  # one order: no deadlock between replicas
        )


async def expose(connection: AsyncConnection, store: Store, claim: Claim, asked: Mapping[str, int]) -> None:
    """Counts how often each case was asked."""
    if not asked:
        return
    statement = store.insert(exposures)
    statement = statement.on_conflict_do_update(
        index_elements=["endpoint", "probe", "case_key"],
        set_={"asked": exposures.c.asked + statement.excluded.asked, "last": statement.excluded.last},
    )
    rows = [
        {"endpoint": claim.endpoint, "probe": claim.probe, "case_key": key, "asked": n, "last": claim.slot}
        for key, n in sorted(asked.items())
    ]
    await connection.execute(statement, rows)


async def load_exposures(
    connection: AsyncConnection, endpoint: str, probe: str
) -> dict[str, tuple[int, datetime]]:
    """Case key -> (times asked, last slot)."""
    found = await connection.execute(
        select(exposures.c.case_key, exposures.c.asked, exposures.c.last).where(
            exposures.c.endpoint == endpoint, exposures.c.probe == probe
        )
    )
    return {row.case_key: (row.asked, row.last) for row in found}


async def load_results(connection: AsyncConnection, claim: Claim) -> Sequence[Row[Any]]:
    """The round's attempts so far, in panel order."""
    found = await connection.execute(
        select(results)
        .where(results.c.at == claim.slot, results.c.round_id == claim.id)
        .order_by(results.c.seq)
    )
    return found.all()


async def abandoned(
    store: Store,
    *,
    replica: str,
    alone: bool = False,
    only: tuple[str, str] | None = None,
    under_way: Collection[str] = (),
) -> list[Claim]:
    """Takes over open rounds whose owner is gone.

    Args:
        store: The store.
        replica: Who takes them over.
        alone: No other daemon runs, so what daemons hold is taken before its lease ends; a command's is not.
        only: Just those of this (endpoint, probe).
        under_way: Rounds that this very process works on: where the store was away for longer than a lease,
            their replies wait to be stored.
    """
    async with store.write() as connection:
        gone = rounds.c.lease_until < store.now()
        if alone:
            gone |= rounds.c.replica.in_(select(replicas.c.id).where(replicas.c.id != replica))
        expired = (rounds.c.state == "open") & gone & rounds.c.id.not_in(list(under_way))
        if only is not None:
            expired &= (rounds.c.endpoint == only[0]) & (rounds.c.probe == only[1])
        # One order for all replicas, or two of them could wait for each other.
        found = (
            await connection.execute(select(rounds).where(expired).order_by(rounds.c.slot, rounds.c.id))
        ).all()
        taken = []
        for row in found:
            done = await connection.execute(
                update(rounds)
                .where(rounds.c.id == row.id, rounds.c.fence == row.fence, rounds.c.state == "open")
                .values(fence=row.fence + 1, replica=replica, lease_until=store.now_plus(LEASE))
            )
            if done.rowcount == 1:
                taken.append(_claim(row, row.fence + 1))
        return taken


async def release(store: Store, claim: Claim) -> None:
    """Gives an unfinished round up, so that the next daemon need not wait for the lease."""
    async with store.write() as connection:
        await connection.execute(
            update(rounds)
            .where(rounds.c.id == claim.id, rounds.c.fence == claim.fence, rounds.c.state == "open")
            .values(lease_until=store.now_plus(timedelta(seconds=-1)))
        )


async def last_slot(connection: AsyncConnection, endpoint: str, probe: str) -> datetime | None:
    """The newest slot that anybody worked on, be it a round or a piece of a capture.

    None before the first scheduled round: between a capture by hand and the first start nothing was due.
    """
    mine = (rounds.c.endpoint == endpoint) & (rounds.c.probe == probe)
    slots: list[datetime | None] = []
    for kind in ("scheduled", "baseline"):
        of_kind = select(rounds.c.slot).where(mine, rounds.c.kind == kind)
        slots.append((await connection.execute(of_kind.order_by(rounds.c.slot.desc()).limit(1))).scalar())
    if slots[0] is None:
        return None
    return max(slot for slot in slots if slot is not None)


async def lock_endpoint(connection: AsyncConnection, name: str) -> None:
    """Lets one closing transaction at a time touch an endpoint's incidents (SQLite does so anyway)."""
    await connection.execute(select(endpoints.c.name).where(endpoints.c.name == name).with_for_update())


def _claim(row: Row[Any], fence: int) -> Claim:
    return Claim(
        id=row.id,
        endpoint=row.endpoint,
        probe=row.probe,
        kind=row.kind,
        slot=row.slot,
        fence=fence,
        panel=row.panel,
        set_version=row.set_version,
        baseline=row.baseline,
    )
