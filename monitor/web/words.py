"""Numbers and times as people read them on the page and in the terminal."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from alerts import Member
from alerts.hostile import one_line
from alerts.text import spell
from monitor.drift.detector import Verdict, VerdictKind
from monitor.signals import effect_text
from monitor.store.views import Point

_MOST_ITEMS = 5


def reading(unit: str, point: Point) -> tuple[str, str]:
    """A mean in human units and its interval in the same: ("412 ms", "380 to 444")."""
    scale, digits, before, after = _scale(unit, point.mean)
    mean, low, high = (f"{value * scale:,.{digits}f}" for value in (point.mean, point.low, point.high))
    # One reply has no spread to tell of; a share has Wilson's interval even then.
    known = point.n > 1 or unit in ("score", "failures")
    return f"{before}{mean}{after}", f"{low} to {high}" if known else "one reply"


def _scale(unit: str, mean: float) -> tuple[float, int, str, str]:
    """Factor, decimals, and what stands before and after the number."""
    if unit == "failures":
        return 100.0, 0 if mean >= 0.095 or mean == 0 else 1, "", " %"
    if unit == "seconds":
        if mean < 1:
            return 1000.0, 0 if mean >= 0.01 else 1, "", " ms"
        return 1.0, 2 if mean < 10 else 1, "", " s"
    if unit == "tokens":
        return 1.0, 0 if mean >= 10 else 1, "", " tokens"
    if unit == "tokens a second":
        return 1.0, 0 if mean >= 100 else 1, "", "/s"
    if unit == "share":
        return 100.0, 0, "", " %"
    if unit == "dollars":
        places = 2 if mean <= 0 else max(2, 1 - math.floor(math.log10(mean)))
        return 1.0, places, "$", ""
    return 1.0, 2, "", ""


def figure(unit: str, value: float) -> str:
    """A value in human units: "412 ms", "$0.0012"."""
    scale, digits, before, after = _scale(unit, value)
    return f"{before}{value * scale:,.{digits}f}{after}"


def within(unit: str, value: float, low: float | None, high: float | None) -> str:
    """The interval of a value in its own units, without them: "380 to 444"; what n cannot bound is left open."""
    scale, digits, _, _ = _scale(unit, value)
    lowest, highest = (None if each is None else f"{each * scale:,.{digits}f}" for each in (low, high))
    if lowest is None and highest is None:
        return "too few to say"
    if lowest is None:
        return f"at most {highest}"
    return f"at least {lowest}" if highest is None else f"{lowest} to {highest}"


def moved(verdict: Verdict) -> tuple[str, str]:
    """What changed against the baseline: ("down 12 points", "8 to 15, n 80"); empty where nothing did."""
    if verdict.kind is not VerdictKind.CHANGED:
        return "", ""
    amount, _, grounds = effect_text(verdict).partition(" (")
    return f"{verdict.direction or 'changed'} {amount}".rstrip(), grounds.removesuffix(")")


def evidence(ratio: float) -> str:
    """Evidence as a share of what an alarm needs, or as a multiple of it."""
    if ratio >= 1:
        return f"{ratio:.1f} × an alarm"
    shown = f"{100 * ratio:.0f}" if ratio >= 0.01 or ratio <= 0 else "under 1"
    return f"{shown} % of an alarm"


def days(span: float) -> str:
    """A long span in days, a short one in hours."""
    return f"{span:.0f} days" if span >= 2 else f"{span * 24:.0f} hours"


def when(at: datetime, now: datetime) -> str:
    """A time of day in UTC, to the second, with its date where that is another day."""
    day = "" if at.date() == now.date() else f"{at.day} {at:%b} "
    return f"{day}{at:%H:%M:%S}"


def ago(at: datetime, now: datetime) -> str:
    """How long ago."""
    return f"{spell(max(timedelta(0), now - at))} ago"


def until(at: datetime, now: datetime) -> str:
    """How long from now."""
    return f"in {spell(max(timedelta(0), at - now))}"


def every(seconds: float) -> str:
    """An interval."""
    return spell(timedelta(seconds=seconds))


def money(usd: float) -> str:
    """Dollars: to the cent from ten on, to two digits that say something below a cent."""
    if usd and usd < 0.1:
        return f"${usd:.{max(2, 1 - math.floor(math.log10(usd)))}f}"
    return f"${usd:,.2f}"


def outcomes(counts: Mapping[str, int]) -> str:
    """How the attempts of a round ended: "18 answered, 2 rate limited"."""
    names = {"ok": "answered"}
    return ", ".join(f"{n} {names.get(name, name.replace('_', ' '))}" for name, n in counts.items())


def grounds(members: Sequence[Member]) -> tuple[dict[str, str], list[dict[str, str]]]:
    """What an incident stands on: the facts that all its members share, and those of each."""
    each = [
        {key.replace("_", " "): fact(value) for key, value in member.facts.items() if _shown(key, value)}
        for member in members
    ]
    first = each[0] if each else {}
    common = {key: said for key, said in first.items() if all(facts.get(key) == said for facts in each)}
    own = [{key: value for key, value in facts.items() if key not in common} for facts in each]
    return common, own


def _shown(key: str, value: Any) -> bool:
    return key != "provisional" and value is not None


def fact(value: Any) -> str:
    """One fact of an incident."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        value = [f"{key} {fact(item)}" for key, item in value.items()]
    if isinstance(value, list):
        more = [f"and {len(value) - _MOST_ITEMS} more"] if len(value) > _MOST_ITEMS else []
        return ", ".join([*(fact(item) for item in value[:_MOST_ITEMS]), *more]) or "none"
    return one_line(str(value))
