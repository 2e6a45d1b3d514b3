"""Numbers as people read them, and the pictures made of them."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from monitor.drift.detector import Verdict, VerdictKind
from monitor.store.views import Point
from monitor.web import words
from monitor.web.drawing import bar, sparkline

NOW = datetime(2026, 11, 20, 14, 30, 7, tzinfo=UTC)


def _point(mean: float, low: float, high: float, *, minutes: float = 0, verdict: str = "steady") -> Point:
    at = NOW + timedelta(minutes=minutes)
    return Point(at=at, n=20, mean=mean, low=low, high=high, verdict=verdict)


@pytest.mark.parametrize(
    ("unit", "point", "said"),
    [
        ("score", (0.95, 0.7612, 0.9911), ("0.95", "0.76 to 0.99")),
        ("failures", (0.0, 0.0, 0.161), ("0 %", "0 to 16")),
        ("failures", (0.05, 0.009, 0.236), ("5.0 %", "0.9 to 23.6")),
        ("seconds", (0.4123, 0.38, 0.444), ("412 ms", "380 to 444")),
        ("seconds", (0.0042, 0.004, 0.0051), ("4.2 ms", "4.0 to 5.1")),
        ("seconds", (1.236, 1.1, 1.4), ("1.24 s", "1.10 to 1.40")),
        ("seconds", (61.2, 50, 70), ("61.2 s", "50.0 to 70.0")),
        ("tokens", (1320.4, 1200, 1500), ("1,320 tokens", "1,200 to 1,500")),
        ("dollars", (0.000214, 0.0002, 0.00023), ("$0.00021", "0.00020 to 0.00023")),
        ("dollars", (0.0, 0.0, 0.0), ("$0.00", "0.00 to 0.00")),
    ],
)
def test_a_mean_and_its_interval_share_a_human_unit(
    unit: str, point: tuple[float, float, float], said: tuple[str, str]
) -> None:
    assert words.reading(unit, _point(*point)) == said


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (0.0, "0 % of an alarm"),
        (0.004, "under 1 % of an alarm"),
        (0.223, "22 % of an alarm"),
        (1.0, "1.0 × an alarm"),
        (14.44, "14.4 × an alarm"),
    ],
)
def test_evidence_is_a_share_of_an_alarm(ratio: float, said: str) -> None:
    assert words.evidence(ratio) == said


def test_a_change_is_told_with_its_grounds_and_a_steady_stream_tells_none() -> None:
    down = Verdict(
        kind=VerdictKind.CHANGED, direction="down", effect=-0.12, low=-0.15, high=-0.08, n=80, threshold=5.0
    )
    assert words.moved(down) == ("down 12 points", "8 to 15, n 80")
    assert words.moved(Verdict(kind=VerdictKind.CHANGED)) == ("changed", "")
    assert words.moved(Verdict(kind=VerdictKind.STEADY, effect=0.1, low=0.0, high=0.2)) == ("", "")


def test_times_carry_their_date_only_where_it_is_another_day() -> None:
    assert words.when(NOW, NOW) == "14:30:07"
    assert words.when(NOW - timedelta(days=1), NOW) == "19 Nov 14:30:07"
    assert words.ago(NOW - timedelta(minutes=125), NOW) == "2 h 5 min ago"
    assert words.until(NOW - timedelta(seconds=5), NOW) == "in 0 s"


@pytest.mark.parametrize(
    ("usd", "said"), [(0.0, "$0.00"), (0.00714, "$0.0071"), (0.41, "$0.41"), (1234.5, "$1,234.50")]
)
def test_money_keeps_two_digits_that_say_something(usd: float, said: str) -> None:
    assert words.money(usd) == said


def test_a_picture_holds_numbers_only_and_shows_a_pause_as_one() -> None:
    points = [
        _point(0.9, 0.8, 1.0, minutes=minutes, verdict="changed" if minutes == 15 else "<script>")
        for minutes in (0, 15, 30, 90, 105)
    ]
    drawn = sparkline(points, NOW, NOW + timedelta(minutes=120), 900.0)
    assert drawn.svg.count("<polygon") == 2
    assert re.findall(r'class="dot (\w+)"', drawn.svg) == ["changed", "learning"]
    assert "script" not in drawn.svg
    assert (drawn.top, drawn.bottom) == ("1.00", "0.80")


def test_a_single_round_is_a_whisker_and_flat_lines_stay_inside_the_picture() -> None:
    drawn = sparkline([_point(1.0, 1.0, 1.0)], NOW, NOW, 900.0)
    assert "whisker" in drawn.svg
    assert (drawn.top, drawn.bottom) == ("1.00", "0.80")
    assert "nan" not in drawn.svg


@pytest.mark.parametrize(("ratio", "width"), [(-1.0, "0.0"), (0.25, "25.0"), (7.0, "100.0")])
def test_a_bar_is_full_at_one(ratio: float, width: str) -> None:
    assert f'class="fill" width="{width}"' in bar(ratio)
