"""Messages owed: in order, once each, whatever the notifier does and however long its channel is dead."""

import asyncio
import math
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from sqlalchemy import update

from alerts import Receipt
from monitor.store import incidents
from monitor.store.engine import Store
from monitor.store.tables import notifications
from tests.conftest import Clock
from tests.monitor.desk import Desk, postman, refused


async def test_a_delivered_message_keeps_its_receipt(store: Store, clock: Clock) -> None:
    carrier = postman()
    desk = Desk(store, clock, oncall=carrier)
    incident = await desk.owe("bot")
    assert await desk.deliver()
    row = await desk.row(incident)
    assert (row.state, row.attempts, row.lease_until) == ("sent", 1, None)
    assert row.receipt["ref"] == {"seq": "1"}
    assert isinstance(row.sent, datetime)
    assert not await desk.deliver()
    assert desk.metrics.notifications.labels("oncall")._value.get() == 1


async def test_a_permanent_error_is_recorded_and_never_tried_again(store: Store, clock: Clock) -> None:
    carrier = postman(refused(permanent=True))
    desk = Desk(store, clock, oncall=carrier)
    incident = await desk.owe("bot", steps="ow")
    assert await desk.deliver()
    row = await desk.row(incident)
    assert (row.state, row.reason) == ("failed", "not_found: no � such channel")
    clock.advance(days=1)
    assert await desk.deliver()  # the next of the incident is not held up by it
    assert (await desk.row(incident, 2)).state == "sent"
    assert carrier.sent[1] == (incident, 2, False, None)
    assert not await desk.deliver()
    assert desk.metrics.notifications_failed.labels("oncall", "not_found")._value.get() == 1


async def test_a_mended_channel_hears_the_newest_of_each_open_incident_that_it_had_refused(
    store: Store, clock: Clock
) -> None:
    carrier = postman(refused(permanent=True), refused(permanent=True))
    desk = Desk(store, clock, oncall=carrier)
    incident = await desk.owe("bot", steps="ow")
    assert await desk.deliver()
    assert await desk.deliver()
    assert not await desk.deliver()
    assert await incidents.retry_failed(store, ["oncall"], clock()) == 1
    assert await desk.deliver()
    assert [(await desk.row(incident, seq)).state for seq in (1, 2)] == ["failed", "sent"]
    assert await incidents.retry_failed(store, ["oncall"], clock()) == 0


async def test_a_temporary_error_is_tried_again_later_and_later(store: Store, clock: Clock) -> None:
    carrier = postman(*[refused(permanent=False)] * 12)
    desk = Desk(store, clock, oncall=carrier)
    incident = await desk.owe("bot")
    waits = []
    for _ in range(12):
        assert await desk.deliver()
        row = await desk.row(incident)
        assert row.state == "due"
        waits.append((row.due - clock.now).total_seconds())
        assert not await desk.deliver()
        clock.now = row.due
    assert all(2.0**n / 2 - 0.1 <= wait <= 2.0**n for n, wait in enumerate(waits[:8], 1))
    assert all(149 <= wait <= 300 for wait in waits[8:])
    assert await desk.deliver()
    assert [again for *_, again, _ in carrier.sent] == [False] + [True] * 12
    assert (await desk.row(incident)).state == "sent"


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(7.0, 7.0), (0.0, 0.0), (-5.0, 0.0), (1e9, 3600.0), (math.inf, 3600.0), (math.nan, 0.0)],
)
async def test_a_far_side_that_says_when_is_believed_within_reason(
    asked: float, wait: float, store: Store, clock: Clock
) -> None:
    desk = Desk(store, clock, oncall=postman(refused(permanent=False, retry_after=asked)))
    incident = await desk.owe("bot")
    await desk.deliver()
    due = (await desk.row(incident)).due
    assert timedelta(0) <= clock.now + timedelta(seconds=wait) - due < timedelta(milliseconds=1)


async def test_a_channel_may_be_dead_for_more_tries_than_a_float_can_count(
    store: Store, clock: Clock
) -> None:
    desk = Desk(store, clock, oncall=postman(refused(permanent=False)))
    incident = await desk.owe("bot")
    async with store.write() as connection:
        await connection.execute(update(notifications).values(attempts=5_000))
    await desk.deliver()
    row = await desk.row(incident)
    assert row.state == "due"
    assert row.due - clock.now <= timedelta(minutes=5)


async def test_messages_of_an_incident_keep_their_order_and_others_pass_by(
    store: Store, clock: Clock
) -> None:
    carrier = postman(refused(permanent=False, retry_after=60))
    desk = Desk(store, clock, oncall=carrier)
    slow = await desk.owe("slow", steps="owr")
    other = await desk.owe("other", steps="o")
    while await desk.deliver():
        pass
    assert carrier.delivered == [(other, 1)]
    clock.advance(seconds=61)
    while await desk.deliver():
        pass
    assert carrier.delivered == [(other, 1), (slow, 1), (slow, 2), (slow, 3)]
    previous = [receipt.ref if receipt else None for *_, receipt in carrier.sent]
    assert previous == [None, None, None, {"seq": "1"}, {"seq": "2"}]


async def test_a_message_whose_sender_died_is_sent_by_another_that_looks_first(
    store: Store, clock: Clock
) -> None:
    carrier = postman()
    desk = Desk(store, clock, oncall=carrier)
    incident = await desk.owe("bot")
    lost = await desk.claim()
    assert lost is not None
    assert not await desk.deliver()
    async with store.write() as connection:
        await connection.execute(
            update(notifications).values(lease_until=store.now_plus(timedelta(seconds=-1)))
        )
    assert await desk.deliver()
    assert carrier.sent == [(incident, 1, True, None)]
    await desk.delivery.deliver(lost)  # it was only slow: what it did is not recorded over the other's
    row = await desk.row(incident)
    assert (row.state, row.fence, row.attempts) == ("sent", 2, 2)


BUGS = {
    "crash": (RuntimeError("token xoxb-secret"), "due"),
    "no receipt": (None, "due"),
    "a receipt that no database takes": (
        Receipt(channel="oncall", ref=cast(Any, {"a": object()})),
        "due",
    ),
    "a receipt with half a character": (Receipt(channel="oncall", ref={"a": "\ud800\x00"}), "sent"),
}


@pytest.mark.parametrize("bug", BUGS)
async def test_a_notifier_with_a_bug_does_not_stop_its_channel(
    bug: str, store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    order, state = BUGS[bug]
    carrier = postman(order)
    desk = Desk(store, clock, oncall=carrier)
    first, second = await desk.owe("a"), await desk.owe("b")
    desk.delivery.wake()
    async with desk.running("oncall"):
        await asyncio.wait_for(carrier.came.wait(), 10)
        assert carrier.delivered == [(second, 1)]
    row = await desk.row(first)
    assert "secret" not in row.reason + caplog.text
    assert row.state == state


async def test_a_dead_channel_holds_up_no_other(store: Store, clock: Clock) -> None:
    dead, alive = postman("hang"), postman()
    desk = Desk(store, clock, dead=dead, alive=alive)
    stuck = await desk.owe("a", channel="dead")
    told = [await desk.owe(name, channel="alive", steps="owr") for name in "bc"]
    async with desk.running("dead"):
        await asyncio.wait_for(dead.came.wait(), 10)
        async with desk.running("alive"):
            while len(alive.delivered) < 6:
                alive.came.clear()
                await asyncio.wait_for(alive.came.wait(), 10)
        assert (await desk.row(stuck)).state == "sending"
    assert sorted(alive.delivered) == sorted((incident, seq) for incident in told for seq in (1, 2, 3))


async def test_a_sender_that_is_stopped_gives_back_what_it_was_sending(store: Store, clock: Clock) -> None:
    carrier = postman("hang")
    desk = Desk(store, clock, oncall=carrier)
    incident = await desk.owe("bot")
    async with desk.running("oncall"):
        await asyncio.wait_for(carrier.came.wait(), 10)
    assert (await desk.row(incident)).state == "due"
    assert await desk.deliver(), "the next sender need not wait for a lease to run out"
    assert [(seq, again) for _, seq, again, _ in carrier.sent] == [(1, False), (1, True)]


async def test_two_senders_of_one_channel_send_each_message_once(store: Store, clock: Clock) -> None:
    postmen = postman(), postman()
    desks = [Desk(store, clock, oncall=carrier) for carrier in postmen]
    told = [await desks[0].owe(f"e{n}", steps="or") for n in range(10)]

    async def send_all(desk: Desk) -> None:
        while await desk.deliver():
            pass

    await asyncio.gather(*map(send_all, desks))
    await asyncio.gather(*map(send_all, desks))  # one may have stopped while the other held the last one
    both = postmen[0].delivered + postmen[1].delivered
    assert sorted(both) == sorted((incident, seq) for incident in told for seq in (1, 2))
