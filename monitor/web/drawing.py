"""Small pictures as inline SVG, built from numbers only. Colours come from the style sheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from markupsafe import Markup

from monitor.store.views import Point

_WIDTH, _HEIGHT = 600.0, 64.0
#: The picture never spans less than this, or the noise of a good endpoint would look like a storm.
_LEAST_SPAN = 0.2
#: A line is not drawn over more than this many intervals without a round.
_GAP = 1.6


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A drawing, and the values at its top and bottom edge."""

    svg: Markup
    top: str
    bottom: str


def sparkline(points: Sequence[Point], start: datetime, end: datetime, interval: float) -> Picture:
    """Means as a line in the band of their intervals; judged rounds that were not steady are dotted.

    Args:
        points: Oldest first; at least one.
        start: The left edge.
        end: The right edge.
        interval: Seconds between rounds; a longer pause is shown as one.
    """
    low, high = _span(points)
    whole = max(1.0, (end - start).total_seconds())

    def x(at: datetime) -> float:
        return _WIDTH * (at - start).total_seconds() / whole

    def y(value: float) -> float:
        return _HEIGHT * (high - value) / (high - low)

    parts = []
    for run in _runs(points, interval):
        upper = [(x(each.at), y(each.high)) for each in run]
        lower = [(x(each.at), y(each.low)) for each in reversed(run)]
        if len(run) > 1:
            parts.append(f'<polygon class="band" points="{_path(upper + lower)}"/>')
            parts.append(f'<polyline class="mean" points="{_path([(x(p.at), y(p.mean)) for p in run])}"/>')
        else:
            bar = _path([upper[0], lower[0]])
            parts.append(f'<polyline class="whisker" points="{bar}"/>')
    marked = [each for each in points[:-1] if each.verdict in ("suspect", "changed")]
    parts += [_dot(x(each.at), y(each.mean), each.verdict) for each in (*marked, points[-1])]
    svg = (
        f'<svg class="sparkline" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" preserveAspectRatio="none" '
        f'aria-hidden="true" focusable="false">{"".join(parts)}</svg>'
    )
    return Picture(svg=Markup(svg), top=f"{high:.2f}", bottom=f"{low:.2f}")  # noqa: S704 - numbers and our own words


def bar(ratio: float) -> Markup:
    """A bar that is full at 1."""
    width = 100 * min(1.0, max(0.0, ratio))
    return Markup(  # noqa: S704 - numbers only
        '<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<rect class="track" width="100" height="4"/><rect class="fill" width="{width:.1f}" height="4"/></svg>'
    )


def _span(points: Sequence[Point]) -> tuple[float, float]:
    """The values that the picture spans, inside 0..1."""
    low, high = min(each.low for each in points), max(each.high for each in points)
    if high - low < _LEAST_SPAN:
        middle = min(1 - _LEAST_SPAN / 2, max(_LEAST_SPAN / 2, (low + high) / 2))
        low, high = middle - _LEAST_SPAN / 2, middle + _LEAST_SPAN / 2
    return max(0.0, low), min(1.0, high)


def _runs(points: Sequence[Point], interval: float) -> list[list[Point]]:
    """The points, parted where rounds are missing."""
    runs = [[points[0]]]
    for before, after in pairwise(points):
        if (after.at - before.at).total_seconds() > _GAP * interval:
            runs.append([])
        runs[-1].append(after)
    return runs


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _dot(x: float, y: float, verdict: str) -> str:
    """A line of no length: its round end stays round although the picture is stretched."""
    kind = verdict if verdict in ("suspect", "changed", "steady") else "learning"
    return f'<line class="dot {kind}" x1="{x:.1f}" y1="{y:.1f}" x2="{x:.1f}" y2="{y:.1f}"/>'
