import pytest

from alerts.notification import Notice, owed
from alerts.route import Decision, Route, destinations, route
from alerts.signal import Severity
from tests.alerts.build import LINKS, Desk, latency, signal, story

ROUTES = (
    Route(match={"severity": "critical", "team": "support"}, channel="oncall", mention="@oncall"),
    Route(match={"measure": "latency"}, channel="infra"),
)


def incident(*signals):
    return Desk().see(*signals)[0].incident


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ([signal()], ("oncall", "@oncall", "route 1")),
        ([latency()], ("infra", None, "route 2")),
        ([latency(severity=Severity.CRITICAL)], ("oncall", "@oncall", "route 1")),
        ([signal(severity=Severity.INFO)], ("team", None, "default channel")),
        ([signal(team="billing")], ("team", None, "default channel")),
    ],
)
def test_the_first_route_that_matches_wins(signals, expected):
    decision = route(ROUTES, "team", incident(*signals))
    assert (decision.channel, decision.mention, decision.reason) == expected


def test_an_empty_match_takes_everything():
    assert route([Route(channel="all")], None, incident(signal())).channel == "all"


def test_whoever_was_called_hears_of_the_end_although_the_severity_fell():
    desk = Desk()
    desk.see(signal(), latency())
    desk.see(signal(0.0), latency())
    (resolved,) = desk.see(latency(0.0))
    assert route(ROUTES, "team", resolved.incident).channel == "oncall"


def test_every_channel_that_was_told_hears_the_rest_but_calls_nobody():
    found = destinations(ROUTES, "team", incident(signal()), told=["team", "oncall"])
    assert [(each.channel, each.mention) for each in found] == [("oncall", "@oncall"), ("team", None)]


def test_without_any_channel_nothing_is_owed():
    (opened,) = Desk().see(signal())
    decision = route((), None, opened.incident)
    assert decision.reason == "no route matches and there is no default channel"
    assert owed(opened, decision, lambda: "ntf_1", LINKS) is None


def test_a_notice_holds_all_that_a_notifier_needs_and_survives_storage():
    (opened,) = Desk().see(signal(facts={"provisional": True}))
    made = owed(opened, Decision(channel="oncall", mention="@oncall", reason=""), lambda: "ntf_1", LINKS)
    assert made is not None
    assert (made.id, made.seq, made.provisional, made.mention) == ("ntf_1", 1, True, "@oncall")
    for notice in (made, *story().values()):
        assert Notice.from_json(notice.as_json()) == notice
