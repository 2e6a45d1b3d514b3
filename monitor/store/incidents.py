"""Rule states, incidents, and the notifications they owe: written in the closing transaction, claimed by delivery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts import Changes, Incident, Notice, Receipt, RuleState, Transition
from monitor.store.engine import Store
from monitor.store.errors import Superseded
from monitor.store.tables import incidents, notifications, rule_states, transitions

#: A notification that its sender has not reported on for this long may be sent by another.
LEASE = timedelta(seconds=90)

DUE, SENDING, SENT, FAILED, MERGED = "due", "sending", "sent", "failed", "merged"


@dataclass(frozen=True, kw_only=True, slots=True)
class Owed:
    """A claimed notification. `again` says that an earlier attempt ended we know not how."""

    id: str
    incident_id: str
    seq: int
    channel: str
    notice: Notice
    fence: int
    attempts: int
    again: bool
    previous: Receipt | None


async def load_rule_states(connection: AsyncConnection, endpoint: str) -> dict[str, RuleState]:
    """Key -> state of every rule that speaks of an endpoint."""
    found = await connection.execute(select(rule_states).where(rule_states.c.endpoint == endpoint))
    return {row.key: RuleState.from_json(row.state) for row in found}


async def load_open(connection: AsyncConnection, endpoint: str | None = None) -> list[Incident]:
    """Incidents that are not resolved, oldest first."""
    query = select(incidents.c.body).where(incidents.c.state != "resolved").order_by(incidents.c.opened)
    if endpoint is not None:
        query = query.where(incidents.c.endpoint == endpoint)
    return [Incident.from_json(row.body) for row in await connection.execute(query)]


async def recent(connection: AsyncConnection, limit: int) -> list[Incident]:
    """The newest incidents, whatever their state."""
    query = select(incidents.c.body).order_by(incidents.c.opened.desc()).limit(limit)
    return [Incident.from_json(row.body) for row in await connection.execute(query)]


async def load_one(connection: AsyncConnection, incident_id: str) -> Incident | None:
    """One incident, whatever its state."""
    found = await connection.execute(select(incidents.c.body).where(incidents.c.id == incident_id))
    body = found.scalar()
    return None if body is None else Incident.from_json(body)


async def history(
    connection: AsyncConnection, incident_id: str
) -> tuple[Sequence[Row[Any]], Sequence[Row[Any]]]:
    """An incident's transitions and its notifications, in order."""
    steps = await connection.execute(
        select(transitions).where(transitions.c.incident_id == incident_id).order_by(transitions.c.seq)
    )
    told = await connection.execute(
        select(notifications).where(notifications.c.incident_id == incident_id).order_by(notifications.c.seq)
    )
    return steps.all(), told.all()


async def told(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, set[str]]:
    """Incident -> the channels that were told of it, or are about to be."""
    found = await connection.execute(
        select(notifications.c.incident_id, notifications.c.channel)
        .where(notifications.c.incident_id.in_(ids), notifications.c.state != FAILED)
        .distinct()
    )
    channels: dict[str, set[str]] = {}
    for incident, channel in found:
        channels.setdefault(incident, set()).add(channel)
    return channels


async def apply(
    connection: AsyncConnection,
    store: Store,
    endpoint: str,
    changes: Changes,
    notices: Sequence[Notice],
    now: datetime,
) -> None:
    """Writes what an evaluation changed, and a row for every message that it owes.

    Raises:
        Superseded: Another replica changed one of the incidents meanwhile.
    """
    for key, state in changes.states.items():
        statement = store.insert(rule_states).values(
            key=key, endpoint=endpoint, state=state.as_json(), updated=now
        )
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["key"], set_={"state": statement.excluded.state, "updated": now}
            )
        )
    steps: dict[str, list[Transition]] = {}
    for step in changes.transitions:
        steps.setdefault(step.incident.id, []).append(step)
    for incident in changes.incidents:
        await _save(
            connection, store, endpoint, incident, before=incident.seq - len(steps.get(incident.id, ()))
        )
    rows = [
        {
            "incident_id": step.incident.id,
            "seq": step.incident.seq,
            "kind": str(step.kind),
            "at": step.at,
            "summary": step.summary,
            "reason": step.reason,
        }
        for step in changes.transitions
    ]
    if rows:
        await connection.execute(insert(transitions), rows)
    if notices:
        await connection.execute(insert(notifications), [_row(notice, now) for notice in notices])


async def _save(
    connection: AsyncConnection, store: Store, endpoint: str, incident: Incident, *, before: int
) -> None:
    values = {
        "severity": str(incident.severity),
        "state": str(incident.state),
        "seq": incident.seq,
        "updated": incident.updated_at,
        "resolved": incident.resolved_at,
        "body": incident.as_json(),
    }
    if before == 0:
        statement: Any = (
            store.insert(incidents)
            .values(
                id=incident.id,
                fingerprint=incident.fingerprint,
                endpoint=endpoint,
                opened=incident.opened_at,
                **values,
            )
            .on_conflict_do_nothing()
        )
    else:
        statement = (
            update(incidents).where(incidents.c.id == incident.id, incidents.c.seq == before).values(**values)
        )
    if (await connection.execute(statement)).rowcount != 1:
        raise Superseded(f"incident {incident.id} was changed by another replica")


def _row(notice: Notice, now: datetime) -> dict[str, Any]:
    return {
        "id": notice.id,
        "incident_id": notice.incident.id,
        "seq": notice.seq,
        "channel": notice.channel,
        "kind": str(notice.kind),
        "notice": notice.as_json(),
        "state": DUE,
        "reason": "",
        "attempts": 0,
        "due": now,
        "fence": 0,
        "lease_until": None,
        "receipt": None,
        "created": now,
        "sent": None,
    }


async def claim_due(store: Store, channel: str, now: datetime) -> Owed | None:
    """Claims the channel's next message; within an incident strictly in order.

    A message whose sender fell silent is handed out again once its lease is over.
    """
    n = notifications
    earlier = n.alias("earlier")
    blocked = (
        select(earlier.c.id)
        .where(
            earlier.c.incident_id == n.c.incident_id,
            earlier.c.channel == n.c.channel,
            earlier.c.seq < n.c.seq,
            earlier.c.state.in_([DUE, SENDING]),
        )
        .exists()
    )
    ready = or_(
        and_(n.c.state == DUE, n.c.due <= now), and_(n.c.state == SENDING, n.c.lease_until < store.now())
    )
    query = select(n).where(n.c.channel == channel, ready, ~blocked).order_by(n.c.due, n.c.seq).limit(1)
    async with store.write() as connection:
        while True:
            row = (await connection.execute(query)).first()
            if row is None:
                return None
            done = await connection.execute(
                update(n)
                .where(n.c.id == row.id, n.c.fence == row.fence)
                .values(
                    state=SENDING,
                    fence=row.fence + 1,
                    attempts=row.attempts + 1,
                    lease_until=store.now_plus(LEASE),
                )
            )
            if done.rowcount == 1:  # else another replica was faster: there may be a next one
                break
        return Owed(
            id=row.id,
            incident_id=row.incident_id,
            seq=row.seq,
            channel=row.channel,
            notice=Notice.from_json(row.notice),
            fence=row.fence + 1,
            attempts=row.attempts + 1,
            again=row.attempts > 0,
            previous=await _last_receipt(connection, row),
        )


async def _last_receipt(connection: AsyncConnection, row: Row[Any]) -> Receipt | None:
    n = notifications
    found = await connection.execute(
        select(n.c.receipt)
        .where(
            n.c.incident_id == row.incident_id,
            n.c.channel == row.channel,
            n.c.seq < row.seq,
            n.c.state == SENT,
        )
        .order_by(n.c.seq.desc())
        .limit(1)
    )
    body = found.scalar()
    return Receipt.from_json(body) if body else None


async def finish(store: Store, owed: Owed, *, state: str, **values: Any) -> None:
    """Records how a claimed notification ended.

    Raises:
        Superseded: Its lease ran out and another sender has it.
    """
    async with store.write() as connection:
        done = await connection.execute(
            update(notifications)
            .where(notifications.c.id == owed.id, notifications.c.fence == owed.fence)
            .values(state=state, lease_until=None, **values)
        )
        if done.rowcount != 1:
            raise Superseded(f"notification {owed.id} is another sender's now")


async def retry_failed(store: Store, channels: Sequence[str], now: datetime) -> int:
    """Owes the newest message of each open incident again where it had failed for good; says how many.

    Called when a person may have mended the channel: at a start, and when its settings change.
    """
    n = notifications
    newer = n.alias("newer")
    still_open = select(incidents.c.id).where(incidents.c.state != "resolved")
    superseded = (
        select(newer.c.id)
        .where(newer.c.incident_id == n.c.incident_id, newer.c.channel == n.c.channel, newer.c.seq > n.c.seq)
        .exists()
    )
    async with store.write() as connection:
        done = await connection.execute(
            update(n)
            .where(
                n.c.state == FAILED, n.c.channel.in_(channels), n.c.incident_id.in_(still_open), ~superseded
            )
            .values(state=DUE, due=now, reason="tried again: the channel may have been mended")
        )
        return done.rowcount


async def give_back_all(store: Store) -> None:
    """Frees what a dead process of ours was sending (only where no other daemon can run)."""
    async with store.write() as connection:
        await connection.execute(
            update(notifications)
            .where(notifications.c.state == SENDING)
            .values(lease_until=store.now_plus(timedelta(seconds=-1)))
        )


async def queue(connection: AsyncConnection) -> Mapping[str, tuple[int, datetime | None]]:
    """Channel -> (messages not sent yet, when the oldest became due)."""
    n = notifications
    found = await connection.execute(
        select(n.c.channel, func.count(), func.min(n.c.created))
        .where(n.c.state.in_([DUE, SENDING]))
        .group_by(n.c.channel)
    )
    return {channel: (count, oldest) for channel, count, oldest in found}
