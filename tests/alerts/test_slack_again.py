"""What was begun and not known to have ended is neither lost nor told twice."""

import math
from datetime import timedelta

import pytest

from alerts.notifier import Reason
from alerts.notifiers.slack import SlackNotifier, SlackSettings
from tests.alerts.build import START, story
from tests.alerts.telling import failure, tell
from tests.fakes.slack import FakeSlack

OPENED, UPDATED, WORSENED, RESOLVED = story().values()


async def test_a_post_whose_answer_was_lost_is_found_and_not_repeated(slack, notifier):
    slack.fail_next("reset", late=True)
    await failure(notifier, OPENED)
    receipt = await notifier.send(OPENED, None, again=True)
    assert [post.ts for post in slack.posts] == [receipt.ref["ts"]]
    (search,) = slack.called("conversations.history")
    assert float(search.arguments["oldest"]) == (OPENED.at - timedelta(minutes=1)).timestamp()


async def test_a_post_that_never_arrived_is_posted_after_looking(slack, notifier):
    slack.fail_next("reset")
    await failure(notifier, OPENED)
    await notifier.send(OPENED, None, again=True)
    assert [call.method for call in slack.calls[1:]] == ["conversations.history", "chat.postMessage"]


async def test_a_reply_whose_answer_was_lost_is_found_and_not_repeated(slack, notifier):
    first = await tell(notifier, OPENED)
    slack.fail_next("http 500", method="chat.postMessage", late=True)
    await failure(notifier, WORSENED, first)
    receipt = await notifier.send(WORSENED, first, again=True)
    (reply,) = slack.thread(first.ref["ts"])
    assert receipt.ref["reply"] == reply.ts
    assert len(slack.posts) == 1


async def test_a_reply_that_never_arrived_is_sent_after_looking(slack, notifier):
    first = await tell(notifier, OPENED)
    slack.fail_next("http 500", method="chat.postMessage")
    await failure(notifier, RESOLVED, first)
    await notifier.send(RESOLVED, first, again=True)
    assert len(slack.thread(first.ref["ts"])) == 1


async def test_the_search_reads_further_pages(notifier):
    async with FakeSlack(page=2, clock=lambda: START.timestamp()) as slack:
        notifier = SlackNotifier(SlackSettings(**slack.settings()))
        wanted = await tell(notifier, OPENED)
        for _ in range(5):
            await tell(notifier, UPDATED)
        assert await notifier.send(OPENED, None, again=True) == wanted
        assert len(slack.called("conversations.history")) == 3
        await notifier.close()


@pytest.mark.parametrize("error", ["missing_scope", "not_in_channel"])
async def test_an_app_that_may_not_read_posts_again_rather_than_not_at_all(slack, notifier, error):
    slack.fail_next("reset", late=True)
    await failure(notifier, OPENED)
    slack.fail_next(error, math.inf, method="conversations.history")
    await notifier.send(OPENED, None, again=True)
    assert len(slack.posts) == 2


async def test_a_search_that_fails_for_now_is_tried_again_before_anything_is_posted(slack, notifier):
    slack.fail_next("ratelimited", method="conversations.history", retry_after=5)
    caught = await failure(notifier, OPENED, again=True)
    assert (caught.reason, caught.retry_after) == (Reason.RATE_LIMITED, 5)
    assert slack.posts == []


async def test_a_message_that_somebody_deleted_is_posted_anew_once_even_after_a_crash(slack, notifier):
    first = await tell(notifier, OPENED)
    slack.delete(first.ref["ts"])
    slack.fail_next("reset", method="chat.postMessage", late=True)
    assert (await failure(notifier, UPDATED, first)).uncertain
    second = await notifier.send(UPDATED, first, again=True)
    assert [post.ts for post in slack.posts] == [second.ref["ts"]]
