import math

import pytest

from monitor.drift.plan import brownian_height, page_threshold, rounds_to_see

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
