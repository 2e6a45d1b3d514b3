"""Rounds in one line, for the log and the terminal."""

from monitor.assess import Closed
from monitor.drift.detector import VerdictKind
from monitor.signals import describe
from monitor.verdicts import Judged
from monitor.watch import Watch
from probes import Outcome


def round_line(watch: Watch, closed: Closed) -> str:
    """`support-bot/support-quality complete, 20/20 answered · score 0.95 (0.76 to 0.99) · steady, ...`."""
    answered, planned = closed.outcomes.get(Outcome.OK, 0), len(closed.claim.panel)
    others = [f"{outcome} {n}" for outcome, n in sorted(closed.outcomes.items()) if outcome != Outcome.OK]
    why = f" ({', '.join(others)})" if others else ""
    kind = "" if closed.claim.kind == "scheduled" else f" {closed.claim.kind}"
    parts = [f"{watch.endpoint}/{watch.probe}{kind} {closed.outcome}, {answered}/{planned} answered{why}"]
    score = next((each for each in closed.judged if each.measure.name == "score"), None)
    if score is not None and score.stat is not None:
        stat = score.stat
        parts.append(f"score {stat.mean:.2f} ({stat.low:.2f} to {stat.high:.2f})")
    parts.append(_verdicts(closed))
    return " · ".join(part for part in parts if part)


def _verdicts(closed: Closed) -> str:
    alarming = [each for each in closed.judged if each.measure.alarms and each.stat is not None]
    if not alarming:
        return ""
    changed = [each for each in alarming if each.verdict.kind is VerdictKind.CHANGED]
    if changed:
        return "CHANGED: " + "; ".join(describe(each.measure, each.verdict) for each in changed)
    most = max(alarming, key=_ratio)
    if all(each.verdict.kind is VerdictKind.LEARNING for each in alarming):
        return "learning"
    return f"{most.verdict.kind}, most evidence {100 * _ratio(most):.0f} % of an alarm ({most.measure.name})"


def _ratio(each: Judged) -> float:
    return each.verdict.evidence_ratio
