"""One ledger over every process: money, pace and concurrency are taken here before they are used.

A permit belongs to a round and dies with it: when the round closes, or its lease runs out, what it
held is free again.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.engine import Store
from monitor.store.errors import Superseded
from monitor.store.rounds import Claim
from monitor.store.tables import gates, ledger, permits, rounds


async def enter(store: Store, claim: Claim, endpoint: str, *, wanted: int, limit: int, day: date) -> int:
    """Takes up to `wanted` of an endpoint's concurrency for a round; 0 where nothing is free.

    A round holds one permit for the endpoint that it watches, and one for each that judges its replies.
    """
    async with store.write() as connection:
        await _lock_gate(connection, store, endpoint)
        held = await connection.execute(
            select(func.coalesce(func.sum(permits.c.concurrency), 0))
            .join(rounds, rounds.c.id == permits.c.round_id)
            .where(
                permits.c.endpoint == endpoint,
                permits.c.round_id != claim.id,
                rounds.c.state == "open",
                rounds.c.lease_until > store.now(),
            )
        )
        granted = max(0, min(wanted, limit - int(held.scalar_one())))
        if granted:
            statement = store.insert(permits).values(
                round_id=claim.id, endpoint=endpoint, concurrency=granted, day=day, reserved_nano=0
            )
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["round_id", "endpoint"], set_={"concurrency": granted}
                )
            )
        return granted


async def pace(store: Store, endpoint: str, *, requests: int, per_minute: int) -> float:
    """Books `requests` evenly spaced starts, 60 / `per_minute` seconds apart.

    Returns:
        Seconds until the first of them. Spacing (rather than a bucket that fills) keeps every
        minute, wherever it starts, within the limit.
    """
    spacing = timedelta(microseconds=-(-60_000_000 // per_minute))  # rounded up: one more must never fit in
    async with store.write() as connection:
        await _lock_gate(connection, store, endpoint)
        now, free = (
            await connection.execute(
                select(store.now(), gates.c.next_free).where(gates.c.endpoint == endpoint)
            )
        ).one()
        first = max(now, free)
        await connection.execute(
            update(gates).where(gates.c.endpoint == endpoint).values(next_free=first + requests * spacing)
        )
        return float((first - now).total_seconds())


async def reserve(store: Store, claim: Claim, endpoint: str, *, nano: int, cap_nano: int, day: date) -> bool:
    """Sets money aside before it is spent; False where the day's cap would be passed.

    Raises:
        Superseded: The round has no permit any more, so nobody would ever give the money back.
    """
    async with store.write() as connection:
        await _ensure_day(connection, store, endpoint, day)
        done = await connection.execute(
            update(ledger)
            .where(
                ledger.c.endpoint == endpoint,
                ledger.c.day == day,
                ledger.c.spent_nano + ledger.c.reserved_nano + nano <= cap_nano,
            )
            .values(reserved_nano=ledger.c.reserved_nano + nano)
        )
        if done.rowcount != 1:
            return False
        done = await connection.execute(
            update(permits)
            .where(permits.c.round_id == claim.id, permits.c.endpoint == endpoint)
            .values(reserved_nano=permits.c.reserved_nano + nano)
        )
        if done.rowcount != 1:
            raise Superseded(f"round {claim.id} holds no permit any more")
        return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """What finished attempts at one endpoint really came to.

    Attributes:
        endpoint: Who is paid.
        day: The UTC day that it counts for.
        requests: Attempts made.
        released_nano: What had been set aside for them, in nano-dollars; it is free again.
        spent_nano: What they cost.
        input_tokens: What went in.
        output_tokens: What came out.
    """

    endpoint: str
    day: date
    requests: int = 0
    released_nano: int = 0
    spent_nano: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


async def settle(connection: AsyncConnection, store: Store, claim: Claim, bill: Bill) -> None:
    """Books a bill, in the transaction that stores the attempts.

    Never more is freed than the round holds: after a commit whose answer was lost the same attempts are
    booked twice.
    """
    await _ensure_day(connection, store, bill.endpoint, bill.day)
    if bill.released_nano:
        mine = (permits.c.round_id == claim.id, permits.c.endpoint == bill.endpoint)
        held = (await connection.execute(select(permits).where(*mine))).one()
        released = min(bill.released_nano, held.reserved_nano)
        await connection.execute(
            update(ledger)
            .where(ledger.c.endpoint == bill.endpoint, ledger.c.day == held.day)
            .values(reserved_nano=ledger.c.reserved_nano - released)
        )
        await connection.execute(
            update(permits).where(*mine).values(reserved_nano=permits.c.reserved_nano - released)
        )
    await connection.execute(
        update(ledger)
        .where(ledger.c.endpoint == bill.endpoint, ledger.c.day == bill.day)
        .values(
            requests=ledger.c.requests + bill.requests,
            spent_nano=ledger.c.spent_nano + bill.spent_nano,
            input_tokens=ledger.c.input_tokens + bill.input_tokens,
            output_tokens=ledger.c.output_tokens + bill.output_tokens,
        )
    )


async def leave(connection: AsyncConnection, round_id: str) -> None:
    """Gives a round's permits back, with whatever it still had set aside."""
    held = (await connection.execute(select(permits).where(permits.c.round_id == round_id))).all()
    for each in held:
        await connection.execute(
            update(ledger)
            .where(ledger.c.endpoint == each.endpoint, ledger.c.day == each.day)
            .values(reserved_nano=ledger.c.reserved_nano - each.reserved_nano)
        )
    if held:
        await connection.execute(delete(permits).where(permits.c.round_id == round_id))


async def spent_today(connection: AsyncConnection, day: date) -> dict[str, tuple[int, int]]:
    """Endpoint -> (spent, reserved) in nano-dollars."""
    found = await connection.execute(select(ledger).where(ledger.c.day == day))
    return {row.endpoint: (row.spent_nano, row.reserved_nano) for row in found}


async def _lock_gate(connection: AsyncConnection, store: Store, endpoint: str) -> None:
    """Makes the endpoint's gate row and holds it: one replica at a time decides about an endpoint."""
    long_ago = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
    await connection.execute(
        store.insert(gates).values(endpoint=endpoint, next_free=long_ago).on_conflict_do_nothing()
    )
    await connection.execute(select(gates.c.endpoint).where(gates.c.endpoint == endpoint).with_for_update())


async def _ensure_day(connection: AsyncConnection, store: Store, endpoint: str, day: date) -> None:
    zero = {"reserved_nano": 0, "spent_nano": 0, "requests": 0, "input_tokens": 0, "output_tokens": 0}
    await connection.execute(
        store.insert(ledger).values(endpoint=endpoint, day=day, **zero).on_conflict_do_nothing()
    )
