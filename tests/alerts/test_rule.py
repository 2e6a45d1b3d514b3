from datetime import timedelta

import pytest

from alerts.rule import Phase, Rule, RuleState, step
from tests.alerts.build import at, signal

PLAIN = Rule(name="r", signal="score")
SLOW = Rule(name="r", signal="score", hold=timedelta(minutes=10), keep_firing=timedelta(minutes=20))


def walk(rule: Rule, readings: list[tuple[float, float | None]]) -> list[str]:
    """The phases after readings of (minute, value)."""
    state, phases = None, []
    for minute, value in readings:
        state = step(rule, state, signal(value), at(minute))
        phases.append(state.phase.value)
    return phases


@pytest.mark.parametrize(
    ("readings", "phases"),
    [
        ([(0, None)], ["unknown"]),
        ([(0, 0.0)], ["inactive"]),
        ([(0, 1.0)], ["firing"]),
        (
            [(0, None), (1, 1.0), (2, None), (3, 0.0), (4, None)],
            ["unknown", "firing", "firing", "inactive", "unknown"],
        ),
        ([(0, 0.5), (1, 0.51)], ["inactive", "firing"]),
    ],
)
def test_a_rule_without_times_follows_its_signal(readings, phases):
    assert walk(PLAIN, readings) == phases


@pytest.mark.parametrize(
    ("readings", "phases"),
    [
        ([(0, 1.0), (9, 1.0), (10, 1.0)], ["pending", "pending", "firing"]),
        ([(0, 1.0), (9, 0.0), (10, 1.0), (20, 1.0)], ["pending", "inactive", "pending", "firing"]),
        ([(0, 1.0), (9, None), (12, 1.0)], ["pending", "unknown", "pending"]),
    ],
)
def test_a_hold_time_must_pass_without_a_gap_before_a_rule_fires(readings, phases):
    assert walk(SLOW, readings) == phases


@pytest.mark.parametrize(
    ("readings", "last"),
    [
        ([(20, 0.0)], "firing"),
        ([(20, 0.0), (39, 0.0)], "firing"),
        ([(20, 0.0), (40, 0.0)], "inactive"),
        ([(20, 0.0), (30, 1.0), (40, 0.0)], "firing"),
        ([(20, 0.0), (30, None), (40, 0.0)], "firing"),
        ([(20, 0.0), (30, None), (40, 0.0), (60, 0.0)], "inactive"),
    ],
)
def test_a_firing_rule_stops_only_after_it_was_seen_quiet_for_the_keep_firing_time(readings, last):
    assert walk(SLOW, [(0, 1.0), (10, 1.0), *readings])[-1] == last


def test_an_unchanged_reading_gives_an_equal_state_so_that_nothing_is_written():
    state = step(PLAIN, None, signal(1.0), at(0))
    assert step(PLAIN, state, signal(1.0), at(60)) == state


@pytest.mark.parametrize(
    ("phase", "value", "expected"),
    [
        (Phase.PENDING, 1.0, Phase.PENDING),  # its hold time starts over
        (Phase.INACTIVE, None, Phase.UNKNOWN),
        (Phase.FIRING, None, Phase.FIRING),
        (Phase.FIRING, 1.0, Phase.FIRING),
        (Phase.FIRING, 0.0, Phase.FIRING),  # keep_firing of the edited rule
    ],
)
def test_the_state_of_an_edited_rule_starts_over_unless_it_fires(phase, value, expected):
    stored = RuleState(phase=phase, since=at(-60), checksum="of an older rule")
    state = step(SLOW, stored, signal(value), at(0))
    assert state.phase is expected
    assert state.checksum == SLOW.checksum
    assert state.since == (at(-60) if phase is Phase.FIRING else at(0))


def test_a_clock_that_goes_back_does_not_make_a_rule_wait_for_the_old_time():
    state = step(SLOW, None, signal(1.0), at(600))
    state = step(SLOW, state, signal(1.0), at(0))
    assert (state.phase, state.since) == (Phase.PENDING, at(0))
    assert step(SLOW, state, signal(1.0), at(10)).phase is Phase.FIRING


@pytest.mark.parametrize("quiet", [None, at(3)])
def test_a_state_survives_storage(quiet):
    state = RuleState(phase=Phase.FIRING, since=at(0), checksum="c", quiet_since=quiet)
    assert RuleState.from_json(state.as_json()) == state


@pytest.mark.parametrize(
    "edit",
    [{"above": 0.6}, {"hold": timedelta(1)}, {"keep_firing": timedelta(1)}, {"group_by": ("team",)}],
)
def test_every_edit_changes_the_checksum(edit):
    assert Rule(name="r", signal="score", **edit).checksum != PLAIN.checksum
