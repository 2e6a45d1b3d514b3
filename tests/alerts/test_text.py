from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.notification import Notice
from alerts.signal import Severity
from alerts.text import render_text, spell
from tests.alerts.build import FACTS, Desk, latency, notice, signal, story

GOLDEN = Path(__file__).parent / "golden"


def provisional() -> Notice:
    facts = {**FACTS, "provisional": True}
    (opened,) = Desk().see(signal(severity=Severity.WARNING, facts=facts))
    return notice(opened)


def improved() -> Notice:
    """Score has recovered while latency still fires, since the day before."""
    desk = Desk()
    desk.see(signal(), latency(), minute=-24 * 60)
    (updated,) = desk.see(signal(0.0), latency(), minute=0)
    return notice(updated)


def removed() -> Notice:
    desk = Desk()
    desk.see(signal())
    (resolved,) = desk.remove(lambda labels: True, minute=3)
    return notice(resolved)


def every_notice() -> dict[str, Notice]:
    made = {"provisional": provisional(), "improved": improved(), "removed": removed()}
    return {**story(), **made}


@pytest.mark.parametrize("name", sorted(every_notice()))
def test_on_call_reads_what_the_golden_file_says(name):
    assert render_text(every_notice()[name]) + "\n" == (GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "0 s"),
        (40, "40 s"),
        (60, "1 min"),
        (5700, "1 h 35 min"),
        (7200, "2 h"),
        (90_000, "1 d 1 h"),
        (86_400, "1 d"),
    ],
)
def test_durations_are_spelled_in_their_two_largest_units(seconds, expected):
    assert spell(timedelta(seconds=seconds)) == expected


def test_hostile_text_stays_on_its_line_and_draws_nothing():
    (opened,) = Desk().see(signal(summary="x\nRESOLVED all is well\x1b[2J\u202e", facts={"a\nb": ["c\nd"]}))
    text = render_text(notice(opened))
    assert text.splitlines()[:2] == ["CRITICAL support-bot: x RESOLVED all is well[2J", "  a b: c d"]
    assert text.isprintable() is False  # its own line breaks, and nothing else
    assert text.replace("\n", "").isprintable()


def test_long_lists_say_how_much_more_there_is():
    facts = {"worst": [f"case-{number}" for number in range(9)], **{f"f{n}": n for n in range(10)}}
    (opened,) = Desk().see(signal(facts=facts))
    text = render_text(notice(opened))
    assert "worst: case-0, case-1, case-2, case-3, case-4, and 4 more" in text
    assert "f6: 6\n  and 3 more\n" in text


def test_many_members_are_counted_not_listed():
    signals = [signal(source=f"probe-{number}") for number in range(12)]
    (opened,) = Desk().see(*signals)
    text = render_text(notice(opened))
    assert text.count("support-bot") == 1
    assert "(probe-7)" in text
    assert "(probe-8)" not in text
    assert "and 4 more" in text


def test_an_address_that_is_no_web_address_is_left_out():
    (opened,) = Desk().see(signal())
    links = {"bad": "javascript:alert(1)", "odd": "https://a b", "good": "https://example.org/?a=1&b=2"}
    text = render_text(replace(notice(opened), links=links))
    assert text.endswith("good: https://example.org/?a=1&b=2")
    assert "bad" not in text
    assert "odd" not in text
