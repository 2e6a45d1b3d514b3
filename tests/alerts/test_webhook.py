import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.notifier import Reason, Receipt
from alerts.notifiers.webhook import WebhookNotifier, WebhookSettings
from alerts.notifiers.webhook_payload import MOST_BYTES, body
from tests.alerts.build import story
from tests.alerts.telling import failure, tell
from tests.fakes.hook import FakeHook

OPENED, UPDATED, WORSENED, RESOLVED = story().values()
SECRET = "not-to-be-seen-0123"
NOW = 1_795_000_000
DOCS = Path(__file__).parents[2] / "docs" / "notifiers.md"


@pytest.fixture
async def hook():
    async with FakeHook() as server:
        yield server


def made(hook, **more):
    settings = WebhookSettings(**{"url": hook.url, "secret": SECRET, **more})
    return WebhookNotifier(settings, clock=lambda: float(NOW))


@pytest.fixture
async def notifier(hook):
    notifier = made(hook)
    yield notifier
    await notifier.close()


async def test_an_opened_incident_reads_as_an_alert_of_alertmanager(hook, notifier):
    receipt = await tell(notifier, OPENED)
    (call,) = hook.calls
    told = call.json
    assert receipt == Receipt(channel="oncall", ref={"notification": "ntf_0001"})
    assert (told["version"], told["status"], told["receiver"]) == ("4", "firing", "oncall")
    assert (told["groupLabels"], told["truncatedAlerts"]) == ({"endpoint": "support-bot"}, 0)
    assert told["notification_reason"] == "first notification"
    assert told["externalURL"] == "https://plumbline.example.org/"
    (alert,) = told["alerts"]
    assert alert["labels"]["alertname"] == "score-changed"
    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["summary"].startswith("score down 12 points")
    assert alert["annotations"]["description"].startswith("evidence: 9.1 nats, alarm at 7.05; false alarms:")
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-11-19T14:35:00Z", "0001-01-01T00:00:00Z")
    assert (told["commonLabels"], told["commonAnnotations"]) == (alert["labels"], alert["annotations"])


async def test_our_own_words_stand_beside_it(hook, notifier):
    await tell(notifier, OPENED)
    own = hook.calls[0].json["plumbline"]
    (alert,) = hook.calls[0].json["alerts"]
    assert (own["notification"], own["incident"], own["seq"], own["kind"]) == (
        "ntf_0001",
        "inc_0001",
        1,
        "opened",
    )
    assert own["facts"][alert["fingerprint"]]["worst_cases"] == ["refund-03", "refund-11", "opening-hours"]
    assert own["mention"] == "@oncall"


async def test_what_is_over_is_resolved_with_its_end(hook, notifier):
    await tell(notifier, WORSENED, RESOLVED)
    worse, over = (call.json for call in hook.calls)
    assert worse["groupKey"] == over["groupKey"]
    assert [alert["status"] for alert in worse["alerts"]] == ["firing", "firing"]
    assert worse["commonLabels"].keys() == {"endpoint", "source", "team"}
    assert over["status"] == "resolved"
    assert {alert["endsAt"] for alert in over["alerts"]} == {"2026-11-19T16:10:00Z"}
    starts = {alert["fingerprint"] for alert in worse["alerts"]}
    assert {alert["fingerprint"] for alert in over["alerts"]} == starts


async def test_an_update_is_sent_only_where_it_is_asked_for(hook, notifier):
    first = await tell(notifier, OPENED)
    assert await tell(notifier, UPDATED, previous=first) == first
    assert len(hook.calls) == 1
    eager = made(hook, updates=True)
    await tell(eager, UPDATED, previous=first)
    await eager.close()
    assert hook.calls[-1].json["plumbline"]["kind"] == "updated"


async def test_an_update_with_nothing_before_it_is_sent_all_the_same(hook, notifier):
    await tell(notifier, UPDATED)
    assert len(hook.calls) == 1


def recipe():
    """The function that the docs give to whoever receives."""
    [code] = re.findall(r"```python recipe\n(.*?)```", DOCS.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["is_ours"]


async def test_the_recipe_of_the_docs_accepts_what_was_signed_and_nothing_else(hook, notifier):
    await tell(notifier, OPENED)
    (call,) = hook.calls
    stamp, signed = (call.headers[f"x-plumbline-{name}"] for name in ("timestamp", "signature"))
    is_ours = recipe()
    assert is_ours(SECRET, stamp, signed, call.raw, now=NOW + 60)
    assert not is_ours(SECRET, stamp, signed, call.raw + b" ", now=NOW)
    assert not is_ours(SECRET, str(NOW + 1), signed, call.raw, now=NOW)
    assert not is_ours("another-secret-0123", stamp, signed, call.raw, now=NOW)
    assert not is_ours(SECRET, stamp, signed, call.raw, now=NOW + 301)
    assert not is_ours(SECRET, "soon", signed, call.raw, now=NOW)


async def test_every_attempt_of_one_notice_carries_the_same_key(hook, notifier):
    hook.fail_next(503)
    await failure(notifier, OPENED)
    await notifier.send(OPENED, None, again=True)
    assert [call.headers["idempotency-key"] for call in hook.calls] == ["ntf_0001", "ntf_0001"]
    assert hook.calls[0].raw == hook.calls[1].raw


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (301, Reason.CLIENT),
        (307, Reason.CLIENT),
        (400, Reason.CLIENT),
        (401, Reason.AUTH),
        (403, Reason.AUTH),
        (404, Reason.NOT_FOUND),
        (410, Reason.NOT_FOUND),
        (413, Reason.CLIENT),
        (422, Reason.CLIENT),
    ],
)
async def test_a_refusal_is_permanent_and_names_a_cure(hook, notifier, status, reason):
    hook.fail_next(status, Location="/elsewhere")
    caught = await failure(notifier, OPENED)
    assert (caught.permanent, caught.reason, caught.code) == (True, reason, f"http_{status}")
    assert re.fullmatch(rf"the receiver refused with HTTP {status}; .+", caught.detail)
    assert len(hook.calls) == 1  # a redirect was not followed


@pytest.mark.parametrize(
    ("fault", "reason", "uncertain"),
    [
        (408, Reason.SERVER, True),
        (425, Reason.SERVER, False),
        (429, Reason.RATE_LIMITED, False),
        (500, Reason.SERVER, True),
        (502, Reason.SERVER, True),
        ("reset", Reason.NETWORK, True),
    ],
)
async def test_what_may_pass_is_temporary(hook, notifier, fault, reason, uncertain):
    hook.fail_next(fault)
    caught = await failure(notifier, OPENED)
    assert (caught.permanent, caught.reason, caught.uncertain) == (False, reason, uncertain)
    await tell(notifier, OPENED)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30", 30),
        ("Wed, 18 Nov 2026 11:07:40 GMT", 60),  # a minute after NOW
        ("Wed, 18 Nov 2020 11:07:40 GMT", 0),
        ("-5", 0),
        ("nan", None),
        ("soon", None),
    ],
)
async def test_the_time_that_a_receiver_asks_for_is_told(hook, notifier, written, seconds):
    hook.fail_next(429, Retry_After=written)
    assert (await failure(notifier, OPENED)).retry_after == seconds


async def test_silence_ends_at_the_deadline(hook):
    notifier = made(hook, timeout=0.05)
    hook.fail_next("hang")
    caught = await failure(notifier, OPENED)
    assert (caught.permanent, caught.reason, caught.uncertain) == (False, Reason.DEADLINE, True)
    await notifier.close()


async def test_where_nothing_listens_nothing_can_have_been_sent(hook):
    notifier = made(hook)
    await hook.__aexit__()
    caught = await failure(notifier, OPENED)
    assert (caught.permanent, caught.reason, caught.uncertain) == (False, Reason.NETWORK, False)
    assert "hook-key" not in repr(caught)
    await notifier.close()


def crowded(members, facts):
    (member, *_) = OPENED.incident.members
    every = tuple(
        replace(member, fingerprint=f"{number:016x}", facts=facts, firing=number % 2 == 0)
        for number in range(members)
    )
    return replace(OPENED, incident=replace(OPENED.incident, members=every))


def test_a_crowd_of_alerts_fits_into_the_cap_and_the_rest_is_counted():
    facts = {f"fact {number}": "é" * 300 for number in range(20)}
    raw = body(crowded(400, facts))
    told = json.loads(raw)
    assert len(raw) <= MOST_BYTES
    assert told["plumbline"]["facts"] == {}
    assert told["truncatedAlerts"] == 400 - len(told["alerts"]) > 0
    assert told["alerts"][0]["status"] == "firing"


def test_grounds_that_are_too_long_go_first():
    nested = {f"a{i}": {f"b{j}": "x" * 300 for j in range(20)} for i in range(20)}
    told = json.loads(body(crowded(5, nested)))
    assert (len(told["alerts"]), told["plumbline"]["facts"]) == (5, {})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"url": "ftp://x"}, "is no web address"),
        ({"url": "http://[::1"}, "is no web address"),
        ({"secret": "short"}, "openssl rand -hex 32"),
        ({"timeout": 0}, "greater than 0"),
        ({"secrets": "x"}, "Extra inputs"),
    ],
)
def test_settings_say_what_is_wrong_without_their_values(keys, message):
    with pytest.raises(ValidationError, match=message) as caught:
        WebhookSettings(**{"url": "http://127.0.0.1/hook-key", "secret": SECRET, **keys})
    assert "hook-key" not in str(caught.value)
    assert "short" not in str(caught.value)
