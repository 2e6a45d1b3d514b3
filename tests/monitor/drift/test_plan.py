import math

import pytest

from monitor.drift.plan import (
    brownian_height,
    cases_to_see,
    information_of,
    information_of_drop,
    information_of_failures,
    page_threshold,
    partial_routing,
    rounds_to_see,
)

# The planning table: drop, information of a reply, and for panels of 10, 20, 50 and 100 the rounds at run
# lengths of 2e3, 2e4 and 2e5.
Columns = list[tuple[float, float, float]]
TABLE: list[tuple[float, float, Columns]] = [
    (0.02, 0.0031, [(105, 178, 253), (63, 100, 138), (31, 46, 61), (18, 25, 33)]),
    (0.03, 0.0068, [(58, 92, 126), (34, 51, 68), (16, 23, 30), (9.2, 12.6, 16)]),
    (0.05, 0.0184, [(26.8, 39, 52), (15.3, 21.5, 27.8), (7.1, 9.6, 12.1), (3.9, 5.2, 6.4)]),
    (0.10, 0.0692, [(9.0, 12.3, 15.7), (5.0, 6.7, 8.3), (2.3, 2.9, 3.6), (1.2, 1.6, 1.9)]),
]
ROWS = [
    (drop, each, panel, run_length, rounds)
    for drop, each, columns in TABLE
    for panel, found in zip((10, 20, 50, 100), columns, strict=True)
    for run_length, rounds in zip((2e3, 2e4, 2e5), found, strict=True)
]


@pytest.mark.parametrize(("drop", "each", "panel", "run_length", "rounds"), ROWS)
def test_the_planner_gives_the_table(drop, each, panel, run_length, rounds):
    assert rounds_to_see(drop, panel, run_length, each) == pytest.approx(rounds, rel=0.04)
    assert rounds_to_see(drop, panel, run_length) == pytest.approx(rounds, rel=0.10)


@pytest.mark.parametrize("run_length", [10.0, 500.0, 1e6, 1e12])
@pytest.mark.parametrize("information", [1e-6, 0.01, 0.37, 5.0])
def test_the_height_solves_its_equation(run_length, information):
    height = brownian_height(run_length, information)
    assert math.expm1(height) - height == pytest.approx(run_length * information, rel=1e-6)
    assert height / 2.0 <= page_threshold(run_length, information) < height


@pytest.mark.parametrize(
    "arguments",
    [(0.0, 20, 500.0), (0.05, 0, 500.0), (0.05, 20, 1.0), (0.05, 20, math.nan), (0.05, 20, 500.0, 0.0)],
)
def test_a_plan_for_nothing_is_refused(arguments):
    with pytest.raises(ValueError, match=r"nothing to plan|must be positive"):
        rounds_to_see(*arguments)


@pytest.mark.parametrize(
    ("noise", "rounds"), [(0.0, 15.3), (0.02, 18.6), (0.05, 22.7), (0.10, 29.9), (0.20, 51.0)]
)
def test_judge_noise_slows_as_published(noise, rounds):
    each = information_of_drop(0.05, noise)
    assert rounds_to_see(0.05, 20, 2_000.0, each) == pytest.approx(rounds, rel=0.005)


@pytest.mark.parametrize(("drop", "each"), [(0.02, 0.0031), (0.03, 0.0068), (0.05, 0.0184), (0.10, 0.0692)])
def test_the_standard_pool_has_the_published_information(drop, each):
    assert information_of_drop(drop) == pytest.approx(each, rel=0.02)


@pytest.mark.parametrize(("share", "rounds"), [(0.05 / 0.79, 8.7), (0.10 / 0.79, 3.4)])
def test_random_failures_are_seen_as_published(share, rounds):
    """The published columns are drops of the mean by 5 and 10 points; the pool's mean is .79."""
    assert rounds_to_see(0.05, 20, 2_000.0, information_of_failures(share)) == pytest.approx(rounds, rel=0.05)


@pytest.mark.parametrize("within", [1.0, 3.9, 15.3, 26.8, 400.0])
def test_the_reverse_question_gives_the_smallest_panel(within):
    cases = cases_to_see(0.05, within, 2_000.0, 0.0184)
    assert cases is not None
    assert rounds_to_see(0.05, cases, 2_000.0, 0.0184) <= within
    assert cases == 1 or rounds_to_see(0.05, cases - 1, 2_000.0, 0.0184) > within


def test_what_no_panel_can_see_is_none():
    assert cases_to_see(0.001, 1.0, 1e12, most=100) is None
    with pytest.raises(ValueError, match="within"):
        cases_to_see(0.05, 0.5, 2_000.0)


def test_partial_routing_is_told_with_what_quality_cannot_see():
    assert partial_routing(20, 2_000.0) == (
        "Where only some requests are hit: 16 % failing is seen in 2 rounds at best, 5 % in 12, 1 % in 115. "
        "One request in a hundred sent to a model that is 20 points weaker would take 864 rounds: "
        "watch the served model's name for that, not its answers."
    )


@pytest.mark.parametrize("arguments", [(0.0,), (0.9,), (0.05, 0.5), (0.05, -0.1)])
def test_a_change_that_cannot_be_is_refused(arguments):
    with pytest.raises(ValueError, match=r"a drop of|a judge that flips"):
        information_of_drop(*arguments)


def test_an_unknown_detector_is_planned_like_scores():
    assert information_of("somebody's") == information_of("paired")
    assert information_of("ranks") > information_of("failures") > information_of("paired")
