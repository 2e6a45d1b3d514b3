"""Small charts as SVG, written from numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

#: Size of a picture and of the margins around its plot, in pixels.
WIDTH, HEIGHT = 720.0, 380.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 20.0, 44.0, 52.0

#: Distinct also for eyes that do not tell red from green (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of a chart; `steps` holds each value until the next, `dashed` sets it back."""

    label: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False
    steps: bool = False


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Curves over two axes.

    Attributes:
        title: Above the plot.
        across: What the horizontal axis shows.
        up: What the vertical axis shows.
        curves: At most as many as there are colours.
        log: Whether the horizontal axis is logarithmic.
        marks: Horizontal lines: value and label.
        events: Vertical lines: value and label.
        lowest: Where the vertical axis begins.
    """

    title: str
    across: str
    up: str
    curves: Sequence[Curve]
    log: bool = False
    marks: Sequence[tuple[float, str]] = field(default=())
    events: Sequence[tuple[float, str]] = field(default=())
    lowest: float = 0.0

    def svg(self) -> str:
        """The whole file."""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" '
            f'font-family="system-ui, sans-serif" font-size="12">',
            f"<title>{escape(self.title)}</title>",
            f'<rect width="{WIDTH:.0f}" height="{HEIGHT:.0f}" fill="#ffffff"/>',
            _text(LEFT, 20.0, self.title, size=15),
        ]
        parts += self._axes()
        for n, curve in enumerate(self.curves):
            parts += self._curve(n, curve)
        return "\n".join([*parts, "</svg>\n"])

    def _span(self) -> tuple[float, float, float]:
        """The ends of the horizontal axis, and the top of the vertical one."""
        across = [x for curve in self.curves for x, _ in curve.points]
        up = [y for curve in self.curves for _, y in curve.points] + [value for value, _ in self.marks]
        return min(across), max(across), max(up) * 1.05

    def _x(self, value: float) -> float:
        low, high, _ = self._span()
        if self.log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)

    def _y(self, value: float) -> float:
        top = self._span()[2]
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - self.lowest) / (top - self.lowest)

    def _axes(self) -> list[str]:
        low, high, top = self._span()
        parts = []
        for value in _ticks(self.lowest, top):
            y = self._y(value)
            parts.append(_line(LEFT, y, WIDTH - RIGHT, y, "#dddddd"))
            parts.append(_text(LEFT - 6, y + 4, f"{value:g}", anchor="end"))
        ticks = [10.0**n * m for n in range(6) for m in (1, 2, 5)] if self.log else _ticks(low, high)
        for value in (tick for tick in ticks if low <= tick <= high):
            parts.append(_text(self._x(value), HEIGHT - BOTTOM + 16, f"{value:,g}", anchor="middle"))
        for value, label in self.marks:
            y = self._y(value)
            parts.append(_line(LEFT, y, WIDTH - RIGHT, y, "#555555", dash="6 4"))
            parts.append(_text(LEFT + 120.0, y - 4, label))
        for value, label in self.events:
            x = self._x(value)
            parts.append(_line(x, TOP, x, HEIGHT - BOTTOM, "#555555", dash="2 3"))
            parts.append(_text(x - 4, TOP + 10, label, anchor="end"))
        parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, self.across, anchor="middle"))
        parts.append(_text(LEFT, TOP - 6, self.up))
        return parts

    def _curve(self, n: int, curve: Curve) -> list[str]:
        points: list[tuple[float, float]] = []
        for x, y in curve.points:
            if curve.steps and points:
                points.append((x, points[-1][1]))
            points.append((x, y))
        path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in points)
        dash = ' stroke-dasharray="5 3"' if curve.dashed else ""
        x, y = LEFT + 14, TOP + 16 + 17 * n
        return [
            f'<polyline fill="none" stroke="{COLOURS[n]}" stroke-width="2"{dash} points="{path}"/>',
            f'<line x1="{x}" y1="{y - 4}" x2="{x + 22}" y2="{y - 4}" stroke="{COLOURS[n]}" '
            f'stroke-width="2"{dash}/>',
            _text(x + 28, y, curve.label),
        ]


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="#222222">{escape(words)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dashed}/>'


def _ticks(low: float, high: float) -> list[float]:
    """Round values, four to nine of them."""
    step = 10.0 ** math.floor(math.log10((high - low) / 4.0))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 8.0)
    first = math.ceil(low / step)
    return [round(n * step, 10) for n in range(first, math.floor(high / step) + 1)]
