"""What was decided is told in order, by one sender at a time, however senders end."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from alerts import Changes, Decision, Receipt, Severity, Signal, evaluate, owed
from monitor.store import incidents
from monitor.store.engine import Store
from monitor.store.errors import Superseded
from monitor.store.incidents import DUE, FAILED, SENT, Owed
from monitor.store.tables import incidents as incident_table
from monitor.store.tables import notifications, rule_states, transitions
from tests.alerts.build import RULES, at, latency, signal
from tests.conftest import START
from tests.monitor.store.build import count

_ids = itertools.count(1)
_NOW = at(600)


def _new_id(prefix: str) -> str:
    return f"{prefix}_{next(_ids):05}"


@dataclass
class _Desk:
    """An endpoint whose signals are evaluated and stored, one transaction each."""

    store: Store
    endpoint: str = "support-bot"
    channels: Sequence[str] = ("oncall",)

    async def see(self, *signals: Signal, minute: float = 0) -> Changes:
        async with self.store.write() as connection:
            changes = evaluate(
                RULES,
                await incidents.load_rule_states(connection, self.endpoint),
                await incidents.load_open(connection, self.endpoint),
                signals,
                at(minute),
                lambda: _new_id("inc"),
            )
            await self.write(connection, changes)
        return changes

    async def write(self, connection: Any, changes: Changes) -> None:
        notices = [
            notice
            for step in changes.transitions
            for channel in self.channels
            if (notice := owed(step, Decision(channel=channel, mention=None, reason="test"), _ntf, {}))
        ]
        await incidents.apply(connection, self.store, self.endpoint, changes, notices, START)


def _ntf() -> str:
    return _new_id("ntf")


async def _story(desk: _Desk) -> None:
    """An incident that opens, worsens and resolves."""
    score, slow = signal(endpoint=desk.endpoint), latency(endpoint=desk.endpoint)
    await desk.see(score)
    await desk.see(score, slow, minute=15)
    await desk.see(replace(score, value=0.0), replace(slow, value=0.0), minute=90)


async def _claim(store: Store, channel: str = "oncall") -> Owed | None:
    return await incidents.claim_due(store, channel, _NOW)


async def _lose_lease(store: Store) -> None:
    async with store.write() as connection:
        await connection.execute(
            update(notifications)
            .where(notifications.c.state == incidents.SENDING)
            .values(lease_until=store.now_plus(timedelta(seconds=-1)))
        )


async def _send_all(store: Store, channel: str = "oncall", told: list[Owed] | None = None) -> list[Owed]:
    """Sends until nothing is left; what was sent, in order."""
    told = [] if told is None else told
    while (each := await _claim(store, channel)) is not None:
        told.append(each)
        receipt = Receipt(channel=channel, ref={"seq": str(each.seq)})
        await incidents.finish(store, each, state=SENT, receipt=receipt.as_json(), sent=START)
    return told


def _kinds(told: Sequence[Owed]) -> list[str]:
    return [str(each.notice.kind) for each in told]


async def test_an_incident_and_what_it_owes_are_stored_and_read_back(store: Store) -> None:
    desk = _Desk(store)
    changes = await desk.see(signal(), latency())
    async with store.read() as connection:
        assert tuple(await incidents.load_open(connection)) == changes.incidents
        assert await incidents.load_open(connection, "support-bot") == list(changes.incidents)
        assert await incidents.load_open(connection, "else") == []
        assert await incidents.load_rule_states(connection, "support-bot") == dict(changes.states)
        assert await incidents.queue(connection) == {"oncall": (1, START)}
        steps, told = await incidents.history(connection, changes.incidents[0].id)
    assert [step.kind for step in steps] == [row.kind for row in told] == ["opened"]


async def test_the_messages_of_an_incident_are_told_in_order_and_after_each_other(store: Store) -> None:
    await _story(_Desk(store))
    first = await _claim(store)
    assert first is not None
    assert await _claim(store) is None, "the next one waits until the first is told"
    assert (first.previous, first.again, first.attempts) == (None, False, 1)
    receipt = Receipt(channel="oncall", ref={"ts": "1.2"})
    await incidents.finish(store, first, state=SENT, receipt=receipt.as_json(), sent=START)
    second = await _claim(store)
    assert second is not None
    assert second.seq > first.seq
    assert second.previous == receipt
    await incidents.finish(store, second, state=FAILED, reason="client: refused")
    third = await _claim(store)
    assert third is not None
    assert str(third.notice.kind) == "resolved"
    assert third.previous == receipt, "what was not told has no receipt"


async def test_channels_do_not_wait_for_each_other(store: Store) -> None:
    await _story(_Desk(store, channels=("oncall", "log")))
    assert await _claim(store, "oncall") is not None
    assert _kinds(await _send_all(store, "log")) == ["opened", "worsened", "resolved"]


async def test_a_message_is_not_handed_out_before_it_is_due(store: Store) -> None:
    await _Desk(store).see(signal())
    assert await incidents.claim_due(store, "oncall", START - timedelta(seconds=1)) is None
    assert await incidents.claim_due(store, "oncall", START) is not None


async def test_a_claimed_message_is_not_handed_out_twice(pair: tuple[Store, Store]) -> None:
    for n in range(6):
        await _story(_Desk(pair[0], endpoint=f"bot-{n}"))
    claimed = await asyncio.gather(*(_claim(store) for store in pair for _ in range(6)))
    ids = [each.id for each in claimed if each is not None]
    assert len(ids) == len(set(ids)) == 6, "each incident's first, and none of them twice"


async def test_two_senders_tell_everything_once_and_in_order(pair: tuple[Store, Store]) -> None:
    for n in range(4):
        await _story(_Desk(pair[0], endpoint=f"bot-{n}"))
    told: list[Owed] = []
    await asyncio.gather(*(_send_all(store, told=told) for store in pair * 2))
    assert len({each.id for each in told}) == len(told) == 12
    for incident in {each.incident_id for each in told}:
        assert _kinds([each for each in told if each.incident_id == incident]) == [
            "opened",
            "worsened",
            "resolved",
        ]


async def test_a_silent_sender_s_message_is_handed_out_again_and_marked(pair: tuple[Store, Store]) -> None:
    await _story(_Desk(pair[0]))
    first = await _claim(pair[0])
    assert first is not None
    await _lose_lease(pair[0])
    second = await _claim(pair[1])
    assert second is not None
    assert (second.id, second.fence, second.attempts, second.again) == (first.id, 2, 2, True)
    with pytest.raises(Superseded):
        await incidents.finish(pair[0], first, state=SENT)
    await incidents.finish(pair[1], second, state=DUE, due=_NOW + timedelta(seconds=1))
    assert await _claim(pair[0]) is None


async def test_what_a_dead_process_was_sending_can_be_given_back_at_once(store: Store) -> None:
    await _Desk(store).see(signal())
    assert await _claim(store) is not None
    await incidents.give_back_all(store)
    again = await _claim(store)
    assert again is not None
    assert again.again


async def test_two_open_incidents_of_one_fingerprint_cannot_be(pair: tuple[Store, Store]) -> None:
    async def open_one(store: Store) -> bool:
        changes = evaluate(RULES, {}, [], [signal()], at(0), lambda: _new_id("inc"))
        try:
            async with store.write() as connection:
                await _Desk(store).write(connection, changes)
        except Superseded:
            return False
        return True

    assert sum(await asyncio.gather(*(open_one(store) for store in pair * 3))) == 1
    assert await count(pair[0], incident_table) == await count(pair[0], notifications) == 1
    assert await count(pair[0], transitions) == 1


async def test_a_resolved_incident_leaves_room_for_the_next(store: Store) -> None:
    desk = _Desk(store)
    await _story(desk)
    (new,) = (await desk.see(signal(), minute=200)).incidents
    async with store.read() as connection:
        assert await incidents.load_open(connection) == [new]
        newest, before = await incidents.recent(connection, 5)
    assert newest == new
    assert before.fingerprint == new.fingerprint
    assert before.id != new.id


async def test_a_change_of_an_incident_that_moved_on_is_refused_whole(store: Store) -> None:
    desk = _Desk(store)
    (before,) = (await desk.see(signal(severity=Severity.WARNING))).incidents
    stale = evaluate(RULES, {}, [before], [signal(0.0)], at(5), lambda: _new_id("inc"))
    await desk.see(signal(severity=Severity.CRITICAL), minute=2)
    with pytest.raises(Superseded, match=before.id):
        async with store.write() as connection:
            await desk.write(connection, replace(stale, states={"else": next(iter(stale.states.values()))}))
    async with store.read() as connection:
        (now,) = await incidents.load_open(connection)
        assert now.severity is Severity.CRITICAL
        keys = (await connection.execute(select(rule_states.c.key))).scalars().all()
    assert "else" not in keys
