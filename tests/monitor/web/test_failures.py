"""Wrong tokens: who has to wait, for how long, and how little is kept and written of it."""

from datetime import timedelta

import pytest

from monitor.web.failures import MOST, WITHIN, Failures, Turn, counted_as
from tests.conftest import START

SECOND = timedelta(seconds=1)


def _burst(failures: Failures, address: str, count: int, start=START) -> list[Turn]:
    turns = [failures.note(address, start + n * SECOND) for n in range(count)]
    return [turn for turn in turns if turn is not None]


def test_ten_failures_in_a_minute_are_forgiven_and_then_the_oldest_must_grow_old() -> None:
    failures = Failures()
    _burst(failures, "a", MOST - 1)
    assert failures.wait("a", START + 9 * SECOND) is None
    failures.note("a", START + 9 * SECOND)
    assert failures.wait("a", START + 9 * SECOND) == WITHIN - 9 * SECOND
    assert failures.wait("b", START + 9 * SECOND) is None
    assert failures.wait("a", START + WITHIN) is None


def test_failures_that_are_further_apart_never_make_anybody_wait() -> None:
    failures = Failures()
    for n in range(100):
        at = START + n * WITHIN / (MOST - 1)
        assert failures.wait("a", at) is None
        failures.note("a", at)


def test_a_burst_is_worth_two_lines_however_long_it_lasts() -> None:
    failures = Failures()
    assert _burst(failures, "a", 300) == [Turn.FIRST, Turn.LIMITED]
    quiet = START + 299 * SECOND + WITHIN
    assert _burst(failures, "a", 1, quiet) == [Turn.FIRST]


def test_all_addresses_together_get_ten_lines_a_minute() -> None:
    failures = Failures()
    turns = [failures.note(f"a{n}", START) for n in range(50)]
    assert turns.count(Turn.FIRST) == 10
    assert failures.note("late", START + WITHIN) is Turn.FIRST


def test_so_many_addresses_are_remembered_and_the_one_that_was_quiet_longest_goes_first() -> None:
    failures = Failures()
    _burst(failures, "first", MOST)
    _burst(failures, "busy", MOST)
    for n in range(5000):
        failures.note(f"a{n}", START + 10 * SECOND)
        failures.note("busy", START + 10 * SECOND)
    assert len(failures) == 1024
    assert failures.wait("first", START + 11 * SECOND) is None
    assert failures.wait("busy", START + 11 * SECOND) is not None


def test_a_clock_that_was_set_back_locks_nobody_out() -> None:
    failures = Failures()
    _burst(failures, "a", MOST, START + timedelta(days=1))
    assert failures.wait("a", START) is None


@pytest.mark.parametrize(
    ("remote", "counted"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("", "unknown"),
        ("/run/a.sock", "unknown"),
    ],
)
def test_an_address_counts_as_itself_and_one_of_ipv6_as_its_network(remote: str | None, counted: str) -> None:
    assert counted_as(remote) == counted
