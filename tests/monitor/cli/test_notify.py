"""`plumbline notify test`: the real notifiers, and no trace in the store."""

import pytest

from tests.fakes.hook import FakeHook
from tests.fakes.slack import FakeSlack
from tests.monitor.cli.conftest import on_a_thread

SECRET = "not-to-be-seen-0123"


@pytest.fixture
def hook():
    with on_a_thread(FakeHook()) as hook:
        yield hook


@pytest.fixture
def slack():
    with on_a_thread(FakeSlack()) as slack:
        yield slack


@pytest.fixture
def channels(site, hook, slack):
    """Three channels, and a config that routes to one of them."""
    site.config["web"] = {**site.config.get("web", {}), "external_url": "https://plumbline.example.org"}
    site.config["alerts"] = {
        "channels": {
            "chat": {"kind": "slack", **slack.settings()},
            "tickets": {"kind": "webhook", "url": hook.url, "secret": SECRET},
            "quiet": {"kind": "log"},
        },
        "default_channel": "chat",
    }
    site.write()
    return site


def test_every_channel_gets_a_notice_that_says_it_is_a_test(plumbline, channels, hook, slack):
    ended = plumbline("notify", "test")
    assert ended.code == 0
    (post,) = slack.posts
    chat, tickets, quiet = ended.out.splitlines()
    assert chat == f"chat (slack): told, channel C0123456, ts {post.ts}"
    assert tickets.startswith("tickets (webhook): told, notification ntf_")
    assert quiet == "quiet (log): told"
    told = hook.calls[0].json
    for text in (post.text, told["plumbline"]["text"], ended.err):
        assert "This is a test of notifications. Nothing is wrong." in text
    assert told["alerts"][0]["labels"]["test"] == "true"
    assert told["externalURL"] == "https://plumbline.example.org"


def test_nothing_is_stored(plumbline, channels):
    assert plumbline("notify", "test").code == 0
    assert not (channels.folder / "plumbline.db").exists()


def test_one_channel_may_be_chosen(plumbline, channels, hook, slack):
    ended = plumbline("notify", "test", "tickets", "-o", "json")
    (told,) = ended.json
    assert (told["channel"], told["kind"], told["ok"], told["error"]) == ("tickets", "webhook", True, None)
    assert told["receipt"]["notification"].startswith("ntf_")
    assert (len(hook.calls), slack.posts) == (1, [])


def test_a_channel_that_was_not_told_ends_with_1_and_its_cure(plumbline, channels, hook, slack):
    slack.fail_next("not_in_channel")
    hook.fail_next(503)
    ended = plumbline("notify", "test")
    chat, tickets, quiet = ended.out.splitlines()
    assert ended.code == 1
    assert (
        chat
        == "chat (slack): NOT told: Slack refused chat.postMessage: not_in_channel; invite the app to the channel"
    )
    assert tickets == (
        "tickets (webhook): NOT told: the receiver answered HTTP 503 (the daemon would try again)"
    )
    assert quiet == "quiet (log): told"
    assert SECRET not in ended.out + ended.err
    assert "hook-key" not in ended.out + ended.err


def test_a_channel_that_is_not_there_is_named_with_the_nearest(plumbline, channels):
    ended = plumbline("notify", "test", "ticket")
    assert ended.code == 2
    assert "no channel is called 'ticket'; did you mean 'tickets'?" in ended.err
