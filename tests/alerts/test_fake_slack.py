"""The fake keeps what tests of the whole daemon rely on."""

import asyncio
from types import SimpleNamespace

from alerts.notifiers.slack import SlackNotifier, SlackSettings
from tests.alerts.build import story
from tests.alerts.telling import tell
from tests.fakes.slack import FakeSlack

OPENED = story()["opened"]


async def test_the_hooks_surround_the_answer(slack, notifier):
    seen = SimpleNamespace(before=asyncio.Event(), posts=0)

    async def before(call):
        seen.posts = len(slack.posts)  # the effect is there, the answer is not

    async def after(call):
        seen.before.set()

    slack.before_answer, slack.after_answer = before, after
    await tell(notifier, OPENED)
    await seen.before.wait()
    assert seen.posts == 1


async def test_the_log_has_one_line_a_call(tmp_path):
    log = tmp_path / "slack.jsonl"
    async with FakeSlack(log=log) as slack:
        notifier = SlackNotifier(SlackSettings(**slack.settings()))
        await tell(notifier, OPENED)
        (line,) = log.read_text().splitlines()
        await notifier.close()
    assert '"method": "chat.postMessage"' in line
    assert '"answered": "ok"' in line
