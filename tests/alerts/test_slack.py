import contextlib

import pytest
from pydantic import ValidationError

from alerts.notifier import NotifyError, Reason, Receipt
from alerts.notifiers.slack import SlackNotifier, SlackSettings
from tests.alerts.build import story
from tests.alerts.telling import failure, tell
from tests.fakes.slack import CHANNEL

STORY = story()
OPENED, UPDATED, WORSENED, RESOLVED = STORY.values()


async def test_an_opened_incident_is_one_message_that_tells_whose_it_is(slack, notifier):
    receipt = await tell(notifier, OPENED)
    (post,) = slack.posts
    assert receipt == Receipt(channel="oncall", ref={"channel": CHANNEL, "ts": post.ts})
    assert post.text.startswith("CRITICAL support-bot: score down 12 points")
    assert post.metadata == {
        "event_type": "plumbline_notice",
        "event_payload": {"notification": "ntf_0001", "incident": "inc_0001", "seq": 1},
    }
    (call,) = slack.calls
    assert call.arguments["unfurl_links"] is False
    assert call.arguments["link_names"] is True


async def test_one_incident_stays_one_message_from_opened_to_resolved(slack, notifier):
    receipt = await tell(notifier, *STORY.values())
    (post,) = slack.posts
    assert len(post.edits) == 3
    assert post.shown.startswith("✅ support-bot: recovered after 1 h 35 min")
    worse, over = slack.thread(post.ts)
    assert worse.shown.startswith("@oncall\n🔴 support-bot is worse: latency up 41 %")
    assert over.shown == "✅ support-bot: recovered after 1 h 35 min"
    assert receipt.ref == {"channel": CHANNEL, "ts": post.ts, "reply": over.ts}
    assert [call.answered for call in slack.calls] == ["ok"] * 6


async def test_an_update_edits_in_silence(slack, notifier):
    receipt = await tell(notifier, OPENED, UPDATED)
    assert "13 points" in slack.posts[0].shown
    assert slack.thread(receipt.ref["ts"]) == []


async def test_a_notice_with_nothing_before_it_is_posted_whatever_its_kind(slack, notifier):
    await tell(notifier, RESOLVED, previous=Receipt(channel="oncall", ref={}))  # that was of another notifier
    assert "recovered" in slack.posts[0].shown


@pytest.mark.parametrize("error", ["message_not_found", "edit_window_closed", "cant_update_message"])
async def test_what_cannot_be_edited_is_posted_anew_and_the_receipt_says_so(slack, notifier, error):
    first = await tell(notifier, OPENED)
    slack.fail_next(error, method="chat.update")
    second = await tell(notifier, WORSENED, previous=first)
    old, new = slack.posts
    assert (first.ref["ts"], second.ref["ts"]) == (old.ts, new.ts)
    assert second.note == f"posted anew: the earlier message cannot be edited ({error})"
    assert slack.thread(old.ts) == []


PERMANENT = [
    ("invalid_auth", Reason.AUTH),
    ("token_revoked", Reason.AUTH),
    ("account_inactive", Reason.AUTH),
    ("missing_scope", Reason.AUTH),
    ("not_in_channel", Reason.AUTH),
    ("channel_not_found", Reason.NOT_FOUND),
    ("is_archived", Reason.NOT_FOUND),
    ("invalid_blocks", Reason.CLIENT),
    ("something_new", Reason.CLIENT),
]


@pytest.mark.parametrize(("error", "reason"), PERMANENT)
async def test_a_refusal_that_trying_again_cannot_cure_is_permanent(slack, notifier, error, reason):
    slack.fail_next(error)
    caught = await failure(notifier, OPENED)
    assert (caught.permanent, caught.reason, caught.code, caught.uncertain) == (True, reason, error, False)
    assert error in caught.detail
    assert len(slack.calls) == 1


async def test_a_missing_scope_is_named(slack, notifier):
    slack.fail_next("missing_scope")
    caught = await failure(notifier, OPENED)
    assert caught.detail == (
        "Slack refused chat.postMessage: missing_scope; "
        "add the scope to the app, then install it again (channels:history)"
    )


async def test_a_rate_limit_says_how_long_to_wait(slack, notifier):
    slack.fail_next("ratelimited", retry_after=30)
    caught = await failure(notifier, OPENED)
    assert (caught.permanent, caught.reason, caught.retry_after) == (False, Reason.RATE_LIMITED, 30)
    assert not caught.uncertain


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("http 500", Reason.SERVER),
        ("http 503", Reason.SERVER),
        ("http 404", Reason.SERVER),
        ("internal_error", Reason.SERVER),
        ("not json", Reason.SERVER),
        ("not an object", Reason.SERVER),
        ("reset", Reason.NETWORK),
    ],
)
async def test_a_failure_of_the_way_or_the_server_is_temporary_and_uncertain(slack, notifier, fault, reason):
    slack.fail_next(fault)
    caught = await failure(notifier, OPENED)
    assert (caught.permanent, caught.reason, caught.uncertain) == (False, reason, True)
    await tell(notifier, OPENED)
    assert len(slack.posts) == 1


async def test_silence_ends_at_the_deadline(slack):
    notifier = SlackNotifier(SlackSettings(**slack.settings(timeout=0.05)))
    slack.fail_next("hang")
    caught = await failure(notifier, OPENED)
    assert (caught.permanent, caught.reason, caught.uncertain) == (False, Reason.DEADLINE, True)
    await notifier.close()


async def test_where_nothing_listens_nothing_can_have_been_sent(slack):
    settings = slack.settings()
    await slack.__aexit__()
    notifier = SlackNotifier(SlackSettings(**settings))
    caught = await failure(notifier, OPENED)
    assert (caught.permanent, caught.reason, caught.uncertain) == (False, Reason.NETWORK, False)
    await notifier.close()


async def test_calls_share_one_connection(slack, notifier):
    await tell(notifier, *STORY.values())
    assert len({call.peer for call in slack.calls}) == 1


@pytest.mark.parametrize(("no_proxy", "reached"), [("127.0.0.1", 1), ("", 0)])
async def test_the_proxy_of_the_environment_is_used_unless_no_proxy_names_the_host(
    slack, monkeypatch, no_proxy, reached
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nothing listens on the discard port
    monkeypatch.setenv("no_proxy", no_proxy)
    notifier = SlackNotifier(SlackSettings(**slack.settings()))
    with contextlib.suppress(NotifyError):
        await tell(notifier, OPENED)
    assert len(slack.posts) == reached
    await notifier.close()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"channel": "#alerts"}, "is no channel's id"),
        ({"token": ""}, "give the app's bot token"),
        ({"timeout": 0}, "greater than 0"),
        ({"api_url": "ftp://x"}, "should match pattern"),
        ({"chanel": "C1"}, "Extra inputs"),
    ],
)
def test_settings_say_what_is_wrong(keys, message):
    with pytest.raises(ValidationError, match=message):
        SlackSettings(**{"token": "t", "channel": CHANNEL, **keys})


def test_a_timeout_may_be_written_as_everywhere_in_the_config():
    assert SlackSettings(token="t", channel=CHANNEL, timeout="15s").timeout == 15
