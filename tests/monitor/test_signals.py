"""Verdicts and states as on-call reads them, word for word; and what must never be among the words."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts import Changes, Notice, Signal, evaluate, owed, render_text
from alerts.route import Decision
from monitor.config.load import load
from monitor.drift.detector import Verdict, VerdictKind
from monitor.measures import MEASURES
from monitor.plugins import Plugins
from monitor.schedule import grid_of
from monitor.signals import RULES, describe, effect_text, settled, state_keys, state_signals, verdict_signal
from monitor.store.baselines import ACCEPTED, PROVISIONAL, Baseline
from monitor.watch import Watch, build
from probes import Case, Message
from rotation import HELD_OUT, OPEN, Item
from tests.conftest import START
from tests.site import Site

AT = START + timedelta(hours=2, minutes=20)
FELL = Verdict(
    kind=VerdictKind.CHANGED,
    evidence=12.34,
    threshold=8.76,
    direction="down",
    effect=-0.12,
    low=-0.15,
    high=-0.08,
    n=80,
    since=START + timedelta(hours=2),
    cases=("basics/open", "basics/secret"),
)
SLOWER = replace(FELL, direction="up", effect=0.34, low=0.2, high=0.49, scale="ratio")
FAILING = replace(FELL, direction="up", effect=0.3, low=0.21, high=0.42)
BASELINE = Baseline(
    id="bas_1",
    endpoint="bot",
    probe="quality",
    version=3,
    state=ACCEPTED,
    subject="s",
    fits={},
    author="ann",
    reason="looks right",
    created=START - timedelta(days=1),
    accepted=START,
)


def case(name: str) -> Case:
    return Case(id=name, messages=(Message(role="user", content=f"the text of {name}"),), target="x")


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    site = Site(tmp_path, "sqlite:///unused.db", "http://127.0.0.1:1/v1")
    site.config["endpoints"]["bot"] |= {"labels": {"team": "support"}, "provider": "acme"}
    site.write()
    config = load(site.path, {}, plugins=Plugins()).config
    items = [
        Item(key="basics/open", eval_set="basics", case=case("open"), split=OPEN),
        Item(key="basics/secret", eval_set="basics", case=case("secret"), split=HELD_OUT),
    ]
    (made,) = build(config, {"basics": items}, {"basics": 1}, scorer=lambda case: {}, grid=grid_of)
    return made


def signal(
    watch: Watch,
    name: str,
    verdict: Verdict,
    baseline: Baseline | None = BASELINE,
    outcomes: dict[str, int] | None = None,
    extra: dict[str, str] | None = None,
) -> Signal:
    return verdict_signal(watch, MEASURES[name], verdict, baseline, outcomes or {"ok": 10}, AT, extra or {})


def notice(changes: Changes) -> Notice:
    decision = Decision(channel="oncall", mention=None, reason="")
    made = owed(changes.transitions[0], decision, lambda: "ntf_1", {})
    assert made is not None
    return made


def text(*signals: Any, before: Any = (), at=AT) -> str:
    return render_text(notice(evaluate(RULES, {}, before, signals, at, lambda: "inc_1")))


def test_a_drop_against_an_accepted_baseline_reads_like_this(watch: Watch) -> None:
    assert text(signal(watch, "score", FELL)).split("\n") == [
        "CRITICAL bot: score down 12 points (8 to 15, n 80) since about 14:00 UTC",
        "  evidence: 12.3 nats, 8.8 needed",
        "  false alarms: this stream may raise one in 51 days",
        "  baseline: version 3, accepted, of 2026-03-01 12:00 UTC",
        "  cases: basics/open and 1 held-out case",
        "  critical, open since 14:20 UTC, inc_1",
    ]


def test_a_provisional_baseline_warns_at_most_and_says_so(watch: Watch) -> None:
    assert text(signal(watch, "score", FELL, replace(BASELINE, state=PROVISIONAL))).split("\n") == [
        "WARNING bot: score down 12 points (8 to 15, n 80) since about 14:00 UTC",
        "  evidence: 12.3 nats, 8.8 needed",
        "  false alarms: this stream may raise one in 51 days",
        "  baseline: version 3, provisional, of 2026-03-01 12:00 UTC",
        "  cases: basics/open and 1 held-out case",
        "  The baseline behind this is provisional: nobody has accepted it yet.",
        "  warning, open since 14:20 UTC, inc_1",
    ]


def test_slowness_reads_like_this(watch: Watch) -> None:
    lines = text(signal(watch, "time_to_first_token", SLOWER)).split("\n")
    assert lines[0] == "WARNING bot: time to first token up 34 % (20 to 49, n 80) since about 14:00 UTC"
    assert lines[-1] == "  warning, open since 14:20 UTC, inc_1"


def test_an_endpoint_that_is_down_reads_like_this(watch: Watch) -> None:
    outcomes = {"ok": 1, "timeout": 2, "refused": 6, "server": 2}
    assert text(signal(watch, "errors", FAILING, None, outcomes)).split("\n") == [
        "CRITICAL bot: endpoint down: 10 of 11 attempts failed (refused 6, server 2, timeout 2)",
        "  evidence: 12.3 nats, 8.8 needed",
        "  false alarms: this stream may raise one in 114 days",
        "  next step: plumbline probe quality --endpoint bot",
        "  critical, open since 14:20 UTC, inc_1",
    ]


def test_an_endpoint_that_fails_more_often_reads_like_this(watch: Watch) -> None:
    said = signal(watch, "errors", FAILING, None, {"ok": 7, "connect_timeout": 3})
    assert said.summary == "errors up 30 points (21 to 42, n 80) since about 14:00 UTC"
    assert said.severity == "warning"


def test_a_wrong_key_reads_like_this(watch: Watch) -> None:
    (wrong, _) = state_signals(watch, {"auth": 10}, AT, "HTTP 401, the key is wrong")
    assert text(wrong).split("\n") == [
        "WARNING bot: the endpoint refuses us: HTTP 401, the key is wrong",
        "  next step: check endpoints.bot in the config, then reload",
        "  warning, open since 14:20 UTC, inc_1",
    ]


def test_a_change_without_a_baseline_warns_at_most_and_says_so(watch: Watch) -> None:
    said = text(signal(watch, "score", replace(FELL, cases=()), baseline=None)).split("\n")
    assert said == [
        "WARNING bot: score down 12 points (8 to 15, n 80) since about 14:00 UTC",
        "  evidence: 12.3 nats, 8.8 needed",
        "  false alarms: this stream may raise one in 51 days",
        "  baseline: none: compared with its own last rounds by ADWIN, which sees only large changes",
        "  ends: when it is back, or after 96 rounds: then this level is the usual one",
        "  warning, open since 14:20 UTC, inc_1",
    ]


def test_being_rate_limited_reads_like_this(watch: Watch) -> None:
    (_, slowed) = state_signals(watch, {"ok": 6, "rate_limited": 4}, AT, "")
    assert text(slowed).split("\n") == [
        "WARNING bot: rate limited: 4 of 10 attempts in one round",
        "  next step: lower endpoints.bot.limits.requests_per_minute",
        "  warning, open since 14:20 UTC, inc_1",
    ]


def test_a_changed_model_stands_among_the_grounds(watch: Watch) -> None:
    said = text(signal(watch, "score", FELL, extra={"served model": "model changed from m-1 to m-1-mini"}))
    assert "  served model: model changed from m-1 to m-1-mini" in said.split("\n")


def test_a_recovery_reads_like_this(watch: Watch) -> None:
    opened = evaluate(RULES, {}, (), [signal(watch, "score", FELL)], AT, lambda: "inc_1")
    later = AT + timedelta(hours=1, minutes=5)
    well = signal(watch, "score", Verdict(kind=VerdictKind.STEADY, evidence=0.1, threshold=8.76))
    ended = evaluate(RULES, opened.states, opened.incidents, [well], later, lambda: "inc_2")
    assert render_text(notice(ended)).split("\n") == [
        "RESOLVED bot: recovered after 1 h 5 min",
        "  Was:",
        "    - score down 12 points (8 to 15, n 80) since about 14:00 UTC (quality)",
        "  was critical, 14:20 UTC to 15:25 UTC, inc_1",
    ]


@pytest.mark.parametrize("measure", [name for name, each in MEASURES.items() if each.alarms])
def test_held_out_cases_are_named_nowhere(watch: Watch, measure: str) -> None:
    for verdict in (FELL, SLOWER, replace(FELL, cases=("basics/secret",))):
        made = signal(watch, measure, verdict)
        assert "secret" not in repr(made)
        assert "the text of" not in repr(made)
    assert "cases" not in made.facts


@pytest.mark.parametrize(
    ("verdict", "severity"),
    [
        (FELL, "critical"),
        (replace(FELL, high=-0.05), "critical"),
        (replace(FELL, high=-0.049), "warning"),
        (replace(FELL, direction="up", effect=0.1, low=0.05, high=0.2), "info"),
        (replace(FELL, effect=None, low=None, high=None), "warning"),
    ],
)
def test_a_score_is_as_severe_as_its_drop_is_certain(watch: Watch, verdict: Verdict, severity: str) -> None:
    assert signal(watch, "score", verdict).severity == severity


def test_what_is_cheaper_or_faster_is_only_information(watch: Watch) -> None:
    faster = replace(SLOWER, direction="down", effect=-0.3, low=-0.4, high=-0.2)
    assert signal(watch, "latency", faster).severity == "info"
    assert signal(watch, "latency", faster).summary.startswith("latency down 30 % (20 to 40, n 80)")


def test_a_stream_that_learns_is_not_known_and_a_suspicion_is_not_present(watch: Watch) -> None:
    of = {kind: signal(watch, "score", Verdict(kind=kind)).value for kind in VerdictKind}
    assert of == {"learning": None, "steady": 0.0, "suspect": 0.0, "changed": 1.0}


@pytest.mark.parametrize(
    ("outcomes", "wrong", "slowed"),
    [
        ({"ok": 10}, 0.0, 0.0),
        ({"auth": 10}, 1.0, None),
        ({"auth": 1, "ok": 9}, 0.0, 0.0),
        ({"rate_limited": 2, "ok": 8}, 0.0, 1.0),
        ({"rate_limited": 1, "ok": 9}, 0.0, None),
        ({"rate_limited": 10}, None, 1.0),
        ({"server": 10}, None, None),
        ({"no_budget": 10}, None, None),
        ({}, None, None),
    ],
)
def test_a_plain_state_is_only_known_where_the_endpoint_spoke(
    watch: Watch, outcomes: dict[str, int], wrong: float | None, slowed: float | None
) -> None:
    assert [each.value for each in state_signals(watch, outcomes, AT, "")] == [wrong, slowed]


@pytest.mark.parametrize(
    ("effect", "low", "high", "scale", "shown"),
    [
        (-0.12, -0.15, -0.08, "difference", "12 points (8 to 15, n 80)"),
        (-0.052, -0.0949, -0.0051, "difference", "5.2 points (0.5 to 9.5, n 80)"),
        (-0.03, -0.07, 0.0, "difference", "3 points (0 to 7, n 80)"),
        (-0.03, -0.07, 0.0004, "difference", "3 points (0 to 7, n 80)"),
        (-0.03, -0.07, 0.01, "difference", "3 points (-1 to 7, n 80)"),
        (-0.5, None, None, "ratio", "50 % (n 80)"),
        (None, None, None, "ratio", ""),
    ],
)
def test_an_effect_is_short_and_carries_its_interval(effect, low, high, scale, shown) -> None:
    assert effect_text(replace(FELL, effect=effect, low=low, high=high, scale=scale)) == shown


def test_a_verdict_without_an_estimate_still_makes_a_sentence() -> None:
    bare = Verdict(kind=VerdictKind.CHANGED)
    assert describe(MEASURES["output_tokens"], bare) == "output tokens changed"
    assert describe(MEASURES["latency"], Verdict(kind=VerdictKind.SUSPECT)) == "latency suspect"


def test_an_open_incident_is_not_reworded_each_round(watch: Watch) -> None:
    opened = evaluate(RULES, {}, (), [signal(watch, "score", FELL)], AT, lambda: "inc_1")
    grown = signal(watch, "score", replace(FELL, effect=-0.14, n=90))
    soon, later = AT + timedelta(minutes=9), AT + timedelta(minutes=10)
    (kept,) = settled([grown], opened.incidents, soon)
    assert kept.summary == opened.incidents[0].lead.summary
    assert evaluate(RULES, opened.states, opened.incidents, [kept], soon, lambda: "x").transitions == ()
    assert settled([grown], opened.incidents, later) == [grown]
    worse = replace(grown, severity=grown.severity.WARNING)
    assert settled([worse], opened.incidents, soon) == [worse]


def test_the_keys_of_rule_states_are_those_that_evaluations_use(watch: Watch) -> None:
    signals = [signal(watch, measure.name, FELL) for measure in MEASURES.values() if measure.alarms]
    signals += state_signals(watch, {"ok": 1}, AT, "")
    used = evaluate(RULES, {}, (), signals, AT, lambda: "inc_1").states
    assert set(state_keys("bot", "quality")) == set(used)
