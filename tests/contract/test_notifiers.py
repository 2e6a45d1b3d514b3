import os
from importlib.metadata import entry_points
from typing import ClassVar, cast

import pytest
from pydantic import BaseModel, ConfigDict

from alerts.contract import ContractBroken, check_notifier
from alerts.notifier import NotifyError, Reason, Receipt
from alerts.notifiers.log import LogNotifier
from tests.fakes.hook import FakeHook
from tests.fakes.slack import FakeSlack

FOUND = {entry.name: entry for entry in entry_points(group="plumbline.notifiers")}
SECRET = "xoxb-not-to-be-seen"


async def no_server():
    yield {"settings": {}}


async def slack_server():
    async with FakeSlack(token=SECRET) as slack:
        failing = {**slack.settings(), "token": f"{SECRET}-wrong"}
        yield {"settings": slack.settings(), "failing": failing, "secrets": [SECRET]}


async def hook():
    async with FakeHook() as hook, FakeHook() as broken:
        broken.fail_always(500)
        keys = {"secret": SECRET}
        yield {
            "settings": {**keys, "url": hook.url},
            "failing": {**keys, "url": broken.url},
            "secrets": [SECRET, "hook-key"],
        }


async def hook_by_apprise():
    async with FakeHook() as hook, FakeHook() as broken:
        broken.fail_always(500)
        yield {
            "settings": {"urls": [hook.url.replace("http:", "json:")]},
            "failing": {"urls": [broken.url.replace("http:", "json:")]},
            "secrets": ["hook-key"],
        }


async def journal():
    yield {"settings": {"path": os.devnull}, "failing": {"path": "/no-such-folder/journal"}}


#: A new notifier adds a line; the last one is that of `third_party`, where it is installed.
SERVERS = {
    "apprise": hook_by_apprise,
    "log": no_server,
    "slack": slack_server,
    "webhook": hook,
    "journal": journal,
}


def test_every_registered_notifier_is_checked_here():
    assert FOUND.keys() <= SERVERS.keys()
    assert {"apprise", "log", "slack", "webhook"} <= FOUND.keys()


@pytest.mark.parametrize("name", sorted(FOUND))
async def test_a_notifier_keeps_its_promises(name):
    async for arguments in SERVERS[name]():
        await check_notifier(FOUND[name].load(), **arguments)


class Loose(BaseModel):
    """Takes any key."""


class Strict(BaseModel):
    """Shows what it should hide."""

    model_config = ConfigDict(extra="forbid")
    token: str = ""


class OfTheFuture(LogNotifier):
    api: ClassVar[int] = 2


class TakesAnything(LogNotifier):
    Settings = Loose


class ShowsItsToken(LogNotifier):
    Settings = Strict


class Elsewhere(LogNotifier):
    async def send(self, notice, previous, *, again):
        return Receipt(channel="another")


class Unstorable(LogNotifier):
    async def send(self, notice, previous, *, again):
        return Receipt(channel=notice.channel, ref={"ts": cast(str, ("a", "tuple"))})


class Meddles(LogNotifier):
    async def send(self, notice, previous, *, again):
        notice.links["extra"] = "https://example.org/"
        return await super().send(notice, previous, again=again)


@pytest.mark.parametrize(
    ("notifier", "settings", "promise"),
    [
        (OfTheFuture, {}, "api is 1, not 2"),
        (TakesAnything, {}, "unknown settings are refused"),
        (ShowsItsToken, {"token": SECRET}, "shows no secret"),
        (Elsewhere, {}, "names the channel"),
        (Unstorable, {}, "survives being stored"),
        (Meddles, {}, "left as it was"),
    ],
)
async def test_a_broken_promise_is_named(notifier, settings, promise):
    with pytest.raises(ContractBroken, match=promise):
        await check_notifier(notifier, settings, secrets=[SECRET])


class Leaks(ShowsItsToken):
    def __init__(self, settings):
        super().__init__(settings)
        self._token = settings.token

    async def send(self, notice, previous, *, again):
        if self._token:
            raise NotifyError(f"refused {self._token}", permanent=True, reason=Reason.AUTH)
        return await super().send(notice, previous, again=again)


@pytest.mark.parametrize(
    ("notifier", "failing", "promise"),
    [(Leaks, {"token": SECRET}, "an error shows no secret"), (LogNotifier, {}, "raises NotifyError")],
)
async def test_a_failing_channel_must_fail_without_a_secret(notifier, failing, promise):
    with pytest.raises(ContractBroken, match=promise):
        await check_notifier(notifier, {}, failing=failing, secrets=[SECRET])
