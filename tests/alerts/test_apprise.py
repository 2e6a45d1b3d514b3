import logging
import subprocess
import sys

import pytest
from pydantic import ValidationError

from alerts.notifier import Reason, Receipt
from alerts.notifiers.apprise import AppriseNotifier, AppriseSettings
from tests.alerts.build import Desk, notice, signal, story
from tests.alerts.telling import failure, tell
from tests.fakes.hook import FakeHook

OPENED, UPDATED, WORSENED, RESOLVED = story().values()


@pytest.fixture
async def hook():
    async with FakeHook() as server:
        yield server


def made(*hooks, **more):
    """A notifier that speaks Apprise's own JSON with each hook."""
    urls = [hook.url.replace("http:", "json:") for hook in hooks]
    return AppriseNotifier(AppriseSettings(urls=urls, **more))


async def test_an_address_gets_title_and_text_as_on_call_reads_them(hook):
    receipt = await tell(made(hook), OPENED)
    assert receipt == Receipt(channel="oncall")
    told = hook.calls[0].json
    assert told["title"].startswith("CRITICAL support-bot: score down 12 points")
    first, *lines = told["message"].splitlines()
    assert first == "@oncall"
    assert lines[0] == "evidence: 9.1 nats, alarm at 7.05"
    assert "Status page: https://plumbline.example.org/" in lines
    assert told["type"] == "failure"


async def test_an_end_is_a_success_and_an_update_is_kept_back(hook):
    notifier = made(hook)
    await tell(notifier, OPENED, UPDATED, RESOLVED)
    assert [call.json["type"] for call in hook.calls] == ["failure", "success"]
    await tell(made(hook, updates=True), OPENED, UPDATED)
    assert len(hook.calls) == 4


async def test_only_who_was_not_told_is_told_again(hook):
    async with FakeHook() as broken:
        notifier = made(hook, broken)
        broken.fail_next(500)
        caught = await failure(notifier, OPENED)
        assert (caught.permanent, caught.reason) == (False, Reason.SERVER)
        assert "1 of 2 urls: number 2 (JSON)" in caught.detail
        await notifier.send(OPENED, None, again=True)
        assert (len(hook.calls), len(broken.calls)) == (1, 2)


async def test_nothing_of_an_address_is_logged_or_told(hook, caplog):
    hook.fail_always(500)
    with caplog.at_level(logging.INFO):
        caught = await failure(made(hook), OPENED)
    assert "hook-key" not in caplog.text + repr(caught) + repr(made(hook)._settings)


async def test_silence_ends_at_the_deadline(hook):
    hook.fail_next("hang")
    notifier = AppriseNotifier(
        AppriseSettings(urls=[hook.url.replace("http:", "json:") + "?rto=0.2"], timeout=0.05)
    )
    caught = await failure(notifier, OPENED)
    assert (caught.permanent, caught.reason) == (False, Reason.DEADLINE)


async def test_what_a_model_says_calls_nobody(hook):
    (step,) = Desk().see(signal(summary="it said @everyone <!channel> <@U1> to me@example.org"))
    await tell(made(hook), notice(step))
    told = hook.calls[0].json["title"]
    assert "@everyone" not in told
    assert "<!channel>" not in told
    assert "<@U1>" not in told
    assert "me@example.org" in told


def test_an_address_that_is_not_understood_is_named_by_its_number():
    with pytest.raises(ValidationError, match="number 2 is no address") as caught:
        AppriseSettings(urls=["json://127.0.0.1/", "nosuch://hook-key"])
    assert "hook-key" not in str(caught.value)


def test_without_the_extra_the_cure_is_named():
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "apprise":
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
from alerts.notifiers.apprise import AppriseSettings
try:
    AppriseSettings(urls=["json://127.0.0.1/"])
except ValueError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "pip install 'plumbline[apprise]'" in ended.stdout, ended.stderr
