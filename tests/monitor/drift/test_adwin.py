import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift.adwin import ROUNDS_NEEDED, ROUNDS_TOLD, Adwin, LogAdwin
from monitor.drift.contract import LARGEST_STATE
from monitor.drift.detector import Observation, Reference, Round, VerdictKind
from monitor.drift.window import TIMES_KEPT, WINDOW, Window
from tests.monitor.drift.streams import (
    EVERY,
    START,
    Stream,
    delays,
    latency_pool,
    less_able,
    main_pool,
    passes,
    realised_run_length,
    seconds,
)


def scores(pool):
    return lambda rng: Stream(Adwin(), pool(rng), rng, draw=passes, runs=0)


def times(rng):
    return Stream(LogAdwin(), latency_pool(rng), rng, draw=seconds, runs=0)


def a_round(number, values, *, at=None, run_length=500.0):
    return Round(
        at=at or START + number * EVERY,
        observations=[Observation(case=f"case-{index}", value=value) for index, value in enumerate(values)],
        run_length=run_length,
        rng=random.Random(number),
    )


def after(detector, rounds, state=None):
    """The last step of some rounds, each given as its values."""
    step = None
    for number, values in enumerate(rounds, 1):
        given = step.state if step else state or detector.start()
        step = detector.update(given, Reference(), a_round(number, values))
    return step


GOOD = [0.0] + [1.0] * 19
BAD = [0.0] * 12 + [1.0] * 8


@pytest.mark.parametrize(
    "pool",
    [
        pytest.param(lambda rng: [0.5] * 20, id="every other reply passes"),
        pytest.param(lambda rng: [0.95] * 20, id="most pass"),
    ],
)
def test_false_alarms_are_not_much_more_frequent_than_stated(pool):
    assert realised_run_length(scores(pool), streams=12, at_most=700) > 300


@pytest.mark.parametrize(("drop", "at_most"), [(0.8, 4), (0.4, 5), (0.2, 8), (0.1, 16)])
def test_a_large_drop_is_told_within_rounds(drop, at_most):
    found = delays(scores(main_pool), lambda pool: less_able(pool, drop), streams=12)
    assert sum(found) / len(found) < at_most


def test_times_that_double_are_told_within_rounds():
    found = delays(times, lambda pool: [level + 0.7 for level in pool], streams=12)
    assert sum(found) / len(found) < 5


def test_it_says_nothing_before_it_has_seen_enough():
    step = after(Adwin(), [GOOD] * 10 + [BAD] * (ROUNDS_NEEDED - 11))
    assert step.verdict.kind is VerdictKind.LEARNING
    assert step.verdict.note == f"{ROUNDS_NEEDED - 1} of the first {ROUNDS_NEEDED} rounds seen"


def test_a_drop_is_told_with_its_start_and_its_size():
    verdict = after(Adwin(), [GOOD] * 40 + [BAD] * 6).verdict
    assert verdict.kind is VerdictKind.CHANGED
    assert (verdict.direction, verdict.scale) == ("down", "difference")
    assert verdict.since == START + 41 * EVERY
    assert verdict.n == 6 * 20
    assert verdict.effect == pytest.approx(-0.55)
    assert verdict.low < verdict.effect < verdict.high < 0.0
    assert verdict.note == "without a baseline"


def test_slower_is_told_as_a_ratio():
    verdict = after(LogAdwin(), [[1.0, 2.0, 4.0]] * 40 + [[3.0, 6.0, 12.0]] * 6).verdict
    assert (verdict.kind, verdict.direction, verdict.scale) == (VerdictKind.CHANGED, "up", "ratio")
    assert verdict.effect == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize(
    ("detector", "before", "gain"), [(Adwin(), BAD, GOOD), (LogAdwin(), [3.0] * 20, [1.0] * 20)]
)
def test_a_gain_is_taken_over_without_a_word(detector, before, gain):
    step = after(detector, [before] * 40 + [gain] * 20)
    assert step.verdict.kind is VerdictKind.STEADY
    assert len(step.state["means"]) == 20


def test_the_way_back_ends_it_and_half_of_it_does_not():
    told = after(Adwin(), [GOOD] * 40 + [BAD] * 10)
    third = [0.0] * 9 + [1.0] * 11
    assert after(Adwin(), [third] * 12, told.state).verdict.kind is VerdictKind.CHANGED
    assert after(Adwin(), [GOOD] * 12, told.state).verdict.kind is VerdictKind.STEADY


def test_a_level_that_stays_is_the_usual_one_after_a_while():
    told = after(Adwin(), [GOOD] * 40 + [BAD] * 20)
    assert told.verdict.kind is VerdictKind.CHANGED
    step = after(Adwin(), [BAD] * ROUNDS_TOLD, told.state)
    assert step.verdict.kind is VerdictKind.STEADY
    assert f"worse for {ROUNDS_TOLD} rounds" in step.verdict.note
    worse_still = after(Adwin(), [[0.0] * 20] * 10, step.state)
    assert worse_still.verdict.kind is VerdictKind.CHANGED


def test_one_odd_reply_in_a_round_of_its_own_is_no_change():
    """Most of a round was slowed down: the reply that is left says next to nothing."""
    quiet = [[0.0] * (1 + number % 3) + [1.0] * 18 for number in range(60)]
    assert after(Adwin(), [*quiet, [0.0], [0.0], [0.0]]).verdict.kind is not VerdictKind.CHANGED
    assert after(Adwin(), [*quiet, *[[0.0] * 20] * 3]).verdict.kind is VerdictKind.CHANGED


def test_a_start_that_is_too_long_ago_is_not_guessed():
    window = Window()
    for number in range(WINDOW):
        window = window.add(START + number * EVERY, 0.5, 20)
    last = START + (WINDOW - 1) * EVERY
    assert window.began(1) == last
    assert window.began(TIMES_KEPT + 1) == last - TIMES_KEPT * EVERY
    assert window.began(TIMES_KEPT + 2) is None


def test_an_empty_round_changes_nothing():
    step = after(Adwin(), [GOOD] * 40 + [BAD] * 6)
    assert Adwin().update(step.state, Reference(), a_round(99, [])) == step


@pytest.mark.parametrize("detector", [Adwin(), LogAdwin()])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1])
def test_what_cannot_have_been_measured_is_refused(detector, value):
    """One NaN would silence ADWIN for ever."""
    with pytest.raises(ValueError, match="is not a finite number"):
        detector.update(detector.start(), Reference(), a_round(1, [0.5, value]))


def test_the_state_stays_small_over_thousands_of_rounds():
    """Dollars in tiny amounts, rounds of thousands, a second apart or a month: the longest numbers there are."""
    detector, state, at = LogAdwin(), LogAdwin().start(), START
    rng = random.Random(1)
    for number in range(5_000):
        at += EVERY if number % 3 else 100 * EVERY
        values = [1e-9 * rng.lognormvariate(0.0, 1.0)]
        state = detector.update(state, Reference(), a_round(number, values, at=at)).state
    state = {**state, "counts": [9_999] * len(state["counts"])}
    assert len(state["means"]) == WINDOW
    assert len(json.dumps(state)) <= LARGEST_STATE


@given(
    st.lists(st.lists(st.floats(0.0, 1.0), max_size=6), min_size=1, max_size=50),
    st.sampled_from([10.0, 500.0, 1e6]),
)
def test_any_scores_give_a_verdict_that_can_be_stored(rounds, run_length):
    detector, state = Adwin(), Adwin().start()
    for number, values in enumerate(rounds):
        step = detector.update(state, Reference(), a_round(number, values, run_length=run_length))
        state = json.loads(json.dumps(step.state, allow_nan=False))
        assert state == step.state
        assert 0.0 <= step.verdict.evidence <= step.verdict.threshold


def test_a_state_of_another_version_is_refused():
    with pytest.raises(ValueError, match="version 0"):
        Adwin().update({**Adwin().start(), "v": 0}, Reference(), a_round(1, GOOD))
