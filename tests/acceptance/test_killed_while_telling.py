"""Slack kills the daemon: whatever it had posted is found again, and an incident stays one message."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from monitor.store.tables import notifications, transitions
from tests.acceptance.books import Books, books
from tests.acceptance.daemons import Host, Life, until
from tests.acceptance.places import place
from tests.fakes.llm import FakeLLM
from tests.fakes.slack import Call, FakeSlack
from tests.site import answers

pytestmark = [pytest.mark.kill, pytest.mark.timeout(240)]


def posts(call: Call) -> bool:
    return call.method == "chat.postMessage" and "thread_ts" not in call.arguments


def edits(call: Call) -> bool:
    return call.method == "chat.update"


def replies(call: Call) -> bool:
    return call.method == "chat.postMessage" and "thread_ts" in call.arguments


class Scene:
    """One daemon after the other on one site, each killed by Slack at a call of its own."""

    def __init__(self, host: Host, config: Path, kept: Books, slack: FakeSlack, when: str) -> None:
        self._host = host
        self._config = config
        self._kept = kept
        self._slack = slack
        self._when = when
        self.life: Life = host.start(config)

    async def killed_at(self, wanted: Callable[[Call], bool]) -> None:
        """Lets the next such call kill the daemon, and starts another."""

        async def strike(call: Call) -> None:
            if wanted(call) and call.answered == "ok":
                self.life.kill()

        name = f"{self._when}_answer"
        setattr(self._slack, name, strike)
        assert await self.life.ended() == -9, self.life.said
        setattr(self._slack, name, None)
        sending = [row.kind for row in await self.told() if row.state == "sending"]
        # Whoever has heard the answer may write it down, or even make the next call, before the kill arrives.
        assert len(sending) in ({1} if self._when == "before" else {0, 1})
        await self._kept.expire()
        self.life = self._host.start(self._config)

    async def told(self) -> list[Any]:
        """The notifications, in order."""
        return list(await self._kept.rows(select(notifications).order_by(notifications.c.seq)))

    async def settled(self, kind: str) -> bool:
        """Whether a notification of that kind has been sent."""
        return any(row.kind == kind and row.state == "sent" for row in await self.told())


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_incident_is_one_message_although_slack_kills_the_daemon_at_each_step(
    store_url: str, tmp_path: Path, host: Host, when: str
) -> None:
    async with (
        FakeLLM(answers=answers(), latency=0.01) as llm,
        FakeSlack() as slack,
        books(store_url) as kept,
    ):
        site = place(tmp_path, store_url, llm, slack)
        scene = Scene(host, site.path, kept, slack, when)
        await until(kept.judging, "a baseline")
        llm.skill = 0.2
        await scene.killed_at(posts)
        await until(lambda: scene.settled("opened"), "the opening is told")
        (message,) = slack.posts
        assert when == "after" or slack.called("conversations.history")
        llm.skill = 1.0
        await scene.killed_at(edits)
        if not slack.thread(message.ts):
            await scene.killed_at(replies)
        await until(lambda: scene.settled("resolved"), "the end is told")
        await scene.life.stop()
        told = await scene.told()
        assert {row.state for row in told} == {"sent"}
        assert {row.receipt["ref"]["ts"] for row in told} == {message.ts}
        steps = await kept.rows(select(transitions).order_by(transitions.c.seq))
    assert [row.seq for row in told] == [step.seq for step in steps] == list(range(1, len(steps) + 1))
    assert slack.posts == [message]
    assert message.text.startswith("RESOLVED")
    aloud = [row.id for row in told if row.kind in {"worsened", "resolved"}]
    shown = [each.metadata["event_payload"]["notification"] for each in slack.thread(message.ts)]
    assert shown == aloud
