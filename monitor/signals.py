"""Verdicts and states as signals: the one file that translates for `alerts`, and its words for people."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from alerts import Incident, Rule, Severity, Signal, state_key
from monitor.drift.adwin import ROUNDS_TOLD
from monitor.drift.detector import Verdict, VerdictKind
from monitor.measures import MEASURES, Measure
from monitor.store.baselines import ACCEPTED, Baseline
from monitor.watch import Watch
from probes import Outcome
from rotation import HELD_OUT, OPEN

#: A drop whose interval lies wholly beyond this is critical (the design's severities).
_CRITICAL_DROP = 0.05
#: Half of a round failing means down.
_DOWN_SHARE = 0.5
#: From this share of a round on, being slowed down is worth a warning.
_RATE_LIMITED_SHARE = 0.2
#: What people read where there is none to be compared with.
WITHOUT_BASELINE = "none: compared with its own last rounds by ADWIN, which sees only large changes"
#: How often an open incident's wording may change while nothing of weight does.
_REWORD = timedelta(minutes=10)

RULES: tuple[Rule, ...] = tuple(
    Rule(name=name, signal=name)
    for name in (*(m.name for m in MEASURES.values() if m.alarms), "misconfigured", "rate_limited")
)


def verdict_signal(
    watch: Watch,
    measure: Measure,
    verdict: Verdict,
    baseline: Baseline | None,
    outcomes: Mapping[str, int],
    at: datetime,
    extra: Mapping[str, Any],
) -> Signal:
    """The signal of one stream. Learning is "not known": it neither opens nor ends anything.

    `outcomes` holds what says something about the endpoint, see `judge.held_against`.
    """
    known = verdict.kind is not VerdictKind.LEARNING
    unaccepted = measure.needs_baseline and (baseline is None or baseline.state != ACCEPTED)
    failed = _failed(outcomes)
    down = measure.name == "errors" and failed >= _DOWN_SHARE * max(1, sum(outcomes.values()))
    return Signal(
        name=measure.name,
        labels={**watch.labels, "measure": measure.name},
        value=float(verdict.kind is VerdictKind.CHANGED) if known else None,
        at=at,
        severity=_severity(measure, verdict, unaccepted, down),
        summary=_down(outcomes) if down else describe(measure, verdict),
        facts=_facts(watch, measure, verdict, baseline) | dict(extra),
    )


def state_signals(watch: Watch, outcomes: Mapping[str, int], at: datetime, detail: str) -> list[Signal]:
    """What an endpoint's plain state says: wrong settings, and being slowed down."""
    answered, refused = outcomes.get(Outcome.OK, 0), outcomes.get(Outcome.AUTH, 0)
    limited, total = outcomes.get(Outcome.RATE_LIMITED, 0), sum(outcomes.values())
    wrong = 1.0 if refused and not answered else 0.0 if answered else None
    slowed = (
        1.0 if total and limited >= _RATE_LIMITED_SHARE * total else 0.0 if answered and not limited else None
    )
    return [
        Signal(
            name="misconfigured",
            labels=watch.labels,
            value=wrong,
            at=at,
            severity=Severity.WARNING,
            summary=f"the endpoint refuses us: {detail or 'key, model or address are wrong'}",
            facts={"next step": f"check endpoints.{watch.endpoint} in the config, then reload"},
        ),
        Signal(
            name="rate_limited",
            labels=watch.labels,
            value=slowed,
            at=at,
            severity=Severity.WARNING,
            summary=f"rate limited: {limited} of {total} attempts in one round",
            facts={"next step": f"lower endpoints.{watch.endpoint}.limits.requests_per_minute"},
        ),
    ]


def state_keys(endpoint: str, probe: str) -> list[str]:
    """Under which the rules keep what they know of one (endpoint, probe)."""
    who = {"endpoint": endpoint, "source": probe}
    now = datetime.min.replace(tzinfo=UTC)
    return [
        state_key(
            rule,
            Signal(
                name=rule.signal,
                labels={**who, "measure": rule.signal} if rule.signal in MEASURES else who,
                value=None,
                at=now,
                severity=Severity.INFO,
                summary="",
            ),
        )
        for rule in RULES
    ]


def settled(signals: Sequence[Signal], incidents: Sequence[Incident], now: datetime) -> list[Signal]:
    """Keeps the words of an open incident while nothing of weight changed, so that it is not edited every round."""
    held = {
        member.fingerprint: (member, incident)
        for incident in incidents
        for member in incident.members
        if member.firing
    }
    kept = []
    for signal in signals:
        member, incident = held.get(signal.fingerprint, (None, None))
        if member is None or incident is None or signal.value != 1.0:
            kept.append(signal)
        elif member.severity == signal.severity and now - incident.updated_at < _REWORD:
            kept.append(
                Signal(
                    name=signal.name,
                    labels=signal.labels,
                    value=signal.value,
                    at=signal.at,
                    severity=signal.severity,
                    summary=member.summary,
                    facts=member.facts,
                )
            )
        else:
            kept.append(signal)
    return kept


def describe(measure: Measure, verdict: Verdict) -> str:
    """One line for people: what moved, by how much, on how many replies, since when."""
    name = measure.name.replace("_", " ")
    if verdict.kind is not VerdictKind.CHANGED:
        return f"{name} {verdict.kind}"
    since = f" since about {clock_time(verdict.since)}" if verdict.since else ""
    amount = effect_text(verdict)
    return f"{name} {verdict.direction or 'changed'}{' ' + amount if amount else ''}{since}"


def effect_text(verdict: Verdict) -> str:
    """`12 points (8 to 15, n 80)` or `34 % (20 to 49, n 80)`; empty where there is no estimate."""
    if verdict.effect is None:
        return ""
    sign = -1 if verdict.direction == "down" else 1
    unit = "points" if verdict.scale == "difference" else "%"
    ends: list[float] = []
    if verdict.low is not None and verdict.high is not None:
        ends = sorted((sign * verdict.low, sign * verdict.high))
    interval = f"{_hundredth(ends[0])} to {_hundredth(ends[1])}, " if ends else ""
    return f"{_hundredth(sign * verdict.effect)} {unit} ({interval}n {verdict.n})"


def clock_time(at: datetime) -> str:
    """A time of day as on-call reads it."""
    return f"{at:%H:%M:%S} UTC" if at.second else f"{at:%H:%M} UTC"


def _hundredth(value: float) -> str:
    scaled = 100 * value
    text = f"{scaled:.0f}" if abs(scaled) >= 9.5 else f"{scaled:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _severity(measure: Measure, verdict: Verdict, unaccepted: bool, down: bool) -> Severity:
    if down:
        return Severity.CRITICAL
    if verdict.direction not in (measure.worse, None) and not measure.either_way:
        return Severity.INFO
    beyond = verdict.high is not None and verdict.high <= -_CRITICAL_DROP
    critical = measure.name == "score" and beyond and not unaccepted
    return Severity.CRITICAL if critical else Severity.WARNING


def _failed(outcomes: Mapping[str, int]) -> int:
    return sum(n for outcome, n in outcomes.items() if outcome != Outcome.OK)


def _down(outcomes: Mapping[str, int]) -> str:
    reasons = sorted((-n, outcome) for outcome, n in outcomes.items() if outcome != Outcome.OK)
    words = ", ".join(f"{outcome.replace('_', ' ')} {-n}" for n, outcome in reasons)
    return f"endpoint down: {_failed(outcomes)} of {sum(outcomes.values())} attempts failed ({words})"


def _facts(watch: Watch, measure: Measure, verdict: Verdict, baseline: Baseline | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "evidence": f"{verdict.evidence:.1f} nats, {verdict.threshold:.1f} needed",
    }
    rounds = watch.run_lengths.get(measure.name)
    if rounds is not None:
        facts["false alarms"] = f"this stream may raise one in {_days(rounds / watch.grid.per_day)}"
    if measure.needs_baseline:
        facts["baseline"] = WITHOUT_BASELINE if baseline is None else _named(baseline)
    if measure.name != "errors" and (worst := _worst(watch, verdict)):  # which case met a failure is chance
        facts["cases"] = worst
    if measure.needs_baseline and baseline is not None and baseline.state != ACCEPTED:
        facts["provisional"] = True
    if measure.needs_baseline and baseline is None:
        facts["ends"] = f"when it is back, or after {ROUNDS_TOLD} rounds: then this level is the usual one"
    if measure.name == "errors":
        facts["next step"] = f"plumbline probe {watch.probe} --endpoint {watch.endpoint}"
    return facts


def _worst(watch: Watch, verdict: Verdict) -> str:
    """The cases that moved most; held-out ones are counted beside them, never named."""
    named = [key for key in verdict.cases if watch.splits.get(key) == OPEN]
    hidden = sum(watch.splits.get(key) == HELD_OUT for key in verdict.cases)
    more = f" and {hidden} held-out case{'s' if hidden > 1 else ''}" if named and hidden else ""
    return ", ".join(named[:3]) + more


def _named(baseline: Baseline) -> str:
    return f"version {baseline.version}, {baseline.state}, of {baseline.created:%Y-%m-%d %H:%M} UTC"


def _days(days: float) -> str:
    return f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
