from dataclasses import replace
from datetime import timedelta

import pytest

from alerts.incident import Incident, IncidentState
from alerts.rule import Rule
from alerts.signal import Severity
from tests.alerts.build import LATENCY, RULES, SCORE, Desk, at, latency, signal


def kinds(transitions):
    return [transition.kind.value for transition in transitions]


def test_a_firing_rule_opens_one_incident_and_says_so_once():
    desk = Desk()
    (opened,) = desk.see(signal(), minute=0)
    assert (opened.kind, opened.summary, opened.at) == ("opened", SCORE, at(0))
    incident = opened.incident
    assert (incident.id, incident.seq, incident.severity) == ("inc_0001", 1, Severity.CRITICAL)
    assert incident.labels["endpoint"] == "support-bot"
    assert desk.see(signal(), minute=15) == []


def test_a_second_measure_of_the_endpoint_joins_and_makes_it_worse():
    desk = Desk()
    desk.see(signal())
    (worsened,) = desk.see(signal(), latency(), minute=15)
    assert (worsened.kind, worsened.summary, worsened.reason) == ("worsened", LATENCY, "latency joined")
    assert len(desk.open) == 1
    assert "measure" not in worsened.incident.labels  # its members disagree on it


def test_two_rules_that_fire_at_once_open_one_incident():
    (opened,) = Desk().see(latency(), signal())
    assert opened.kind == "opened"
    assert opened.summary == SCORE  # the more severe one speaks


def test_another_endpoint_has_its_own_incident():
    assert kinds(Desk().see(signal(), signal(endpoint="billing-bot"))) == ["opened", "opened"]


def test_a_member_that_recovers_stays_listed_and_the_rest_goes_on():
    desk = Desk()
    desk.see(signal(), latency())
    (updated,) = desk.see(signal(0.0), latency(), minute=15)
    assert (updated.kind, updated.reason) == ("updated", "score recovered")
    assert [member.title for member in updated.incident.recovered] == ["score"]
    assert (updated.incident.severity, updated.incident.peak) == (Severity.WARNING, Severity.CRITICAL)


def test_the_incident_resolves_when_nothing_fires_any_more():
    desk = Desk()
    desk.see(signal(), latency())
    desk.see(signal(0.0), latency())
    (resolved,) = desk.see(latency(0.0), minute=30)
    incident = resolved.incident
    assert (resolved.kind, incident.state, incident.resolution) == ("resolved", "resolved", "recovered")
    assert (incident.resolved_at, incident.seq) == (at(30), 3)
    assert desk.see(signal(0.0), latency(0.0), minute=45) == []


def test_one_that_leaves_while_another_joins_does_not_resolve():
    desk = Desk()
    desk.see(signal())
    assert kinds(desk.see(signal(0.0), latency())) == ["worsened"]


def test_it_comes_back_as_a_new_incident_once_resolved():
    desk = Desk()
    for value in (1.0, 0.0, 1.0):
        desk.see(signal(value))
    assert kinds(desk.told) == ["opened", "resolved", "opened"]
    assert len({transition.incident.id for transition in desk.told}) == 2


def test_a_severity_above_the_peak_is_worse_and_one_below_only_edits():
    desk = Desk()
    for severity in ("warning", "critical", "warning", "critical"):
        desk.see(signal(severity=Severity(severity)))
    assert kinds(desk.told) == ["opened", "worsened", "updated", "updated"]
    assert desk.told[1].reason == "severity rose to critical"


def test_a_new_summary_only_edits_and_new_facts_are_stored_in_silence():
    desk = Desk()
    desk.see(signal())
    assert kinds(desk.see(signal(summary="score down 14 points"))) == ["updated"]
    assert desk.see(signal(summary="score down 14 points", facts={"n": 100})) == []
    assert desk.open[0].members[0].facts == {"n": 100}


@pytest.mark.parametrize("value", [None, 0.0])
def test_what_is_not_known_or_only_kept_firing_keeps_its_last_evidence(value):
    desk = Desk([replace(RULES[0], keep_firing=timedelta(hours=1))])
    desk.see(signal())
    assert desk.see(signal(value, summary="learning"), minute=15) == []
    assert desk.open[0].lead.summary == SCORE


def test_a_rule_found_firing_without_an_incident_opens_one_when_it_is_next_seen():
    desk = Desk()
    desk.see(signal())
    desk.incidents.clear()
    assert desk.see(signal(None)) == []
    assert kinds(desk.see(signal())) == ["opened"]


def test_a_member_stays_in_its_incident_when_its_rule_groups_otherwise_since():
    desk = Desk()
    desk.see(signal())
    desk.rules = (replace(RULES[0], group_by=("team",)),)
    assert desk.see(signal(), minute=15) == []
    assert kinds(desk.see(signal(0.0), minute=30)) == ["resolved"]


def test_rules_may_group_whole_teams():
    rule = Rule(name="score-changed", signal="score", group_by=("team",))
    desk = Desk([rule])
    desk.see(signal())
    assert kinds(desk.see(signal(endpoint="billing-bot"))) == ["worsened"]
    assert desk.open[0].labels == {"measure": "score", "source": "support-quality", "team": "support"}


def test_an_acknowledged_incident_stays_acknowledged_until_it_resolves():
    desk = Desk()
    desk.see(signal())
    (incident,) = desk.open
    desk.incidents[incident.id] = replace(incident, state=IncidentState.ACKNOWLEDGED)
    assert desk.see(signal(), latency())[0].incident.state is IncidentState.ACKNOWLEDGED
    assert desk.see(signal(0.0), latency(0.0))[0].incident.state is IncidentState.RESOLVED


def test_what_is_removed_from_the_config_is_resolved_with_that_reason():
    desk = Desk()
    desk.see(signal(), signal(endpoint="billing-bot"))
    (resolved,) = desk.remove(lambda labels: labels["endpoint"] == "support-bot", minute=5)
    assert (resolved.kind, resolved.incident.resolution) == ("resolved", "removed from config")
    assert [incident.labels["endpoint"] for incident in desk.open] == ["billing-bot"]


def test_removing_one_probe_leaves_the_others_of_the_endpoint_firing():
    desk = Desk()
    desk.see(signal(), signal(source="other-probe"))
    (updated,) = desk.remove(lambda labels: labels["source"] == "other-probe")
    assert (updated.kind, len(updated.incident.firing)) == ("updated", 1)
    assert desk.remove(lambda labels: labels["source"] == "other-probe") == []


def test_a_clock_that_goes_back_never_sets_an_incident_back():
    desk = Desk()
    desk.see(signal(), minute=30)
    (resolved,) = desk.see(signal(0.0), minute=0)
    assert resolved.incident.resolved_at == at(30)


def test_the_same_signal_given_twice_present_and_absent_opens_nothing():
    assert Desk().see(signal(1.0), signal(0.0)) == []


def test_an_incident_survives_storage():
    desk = Desk()
    desk.see(signal(facts={"n": 80, "worst": ["a"]}), latency(), minute=0)
    desk.see(signal(0.0), latency(0.0), minute=15)
    for transition in desk.told:
        assert Incident.from_json(transition.incident.as_json()) == transition.incident


def test_hostile_text_is_clean_before_it_is_stored():
    (opened,) = Desk().see(
        signal(summary="a\x00b\ud800\n\u202ec", facts={"x\x00": ["\x1b[2J", float("nan")]})
    )
    assert opened.incident.lead.summary == "ab c"
    assert opened.incident.lead.facts == {"x": ["[2J", None]}
