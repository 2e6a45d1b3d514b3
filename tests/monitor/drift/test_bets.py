import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift.bets import LAWS, TABULATED, Cell, ascending, cell_of, log_bets

SIZES = st.one_of(st.integers(0, 300), st.just(TABULATED))


@given(SIZES, st.data())
def test_bets_in_control_have_a_mean_of_one_however_ranks_are_tied(size, data):
    cuts = data.draw(st.sets(st.integers(1, max(1, size)), max_size=20))
    edges = sorted({0, size + 1} | {cut for cut in cuts if cut <= size})
    means = [0.0] * len(LAWS)
    for low, high in pairwise(edges):
        for law, bet in enumerate(log_bets(Cell(low, high, size))):
            means[law] += math.exp(bet) * (high - low) / (size + 1)
    assert means == pytest.approx([1.0] * len(LAWS), abs=1e-9)


@given(st.integers(0, 2_100), st.data())
def test_no_single_reply_decides(size, data):
    low = data.draw(st.integers(0, size))
    assert all(-4.0 < bet < 4.1 for bet in log_bets(Cell(low, low + 1, size)))


def test_a_reply_that_equals_all_others_says_nothing():
    assert log_bets(cell_of(0.0, [0.0] * 500)) == pytest.approx([0.0] * len(LAWS))


def test_the_slowest_reply_speaks_for_every_law_and_the_usual_one_for_none():
    held = [float(n) for n in range(999)]
    assert min(log_bets(cell_of(1_000.0, held))) > 1.0
    assert max(log_bets(cell_of(499.5, held))) < 0.0


def test_a_rank_counted_from_the_top_is_mirrored():
    cell = cell_of(2.0, [0.0, 1.0, 2.0, 2.0, 3.0])
    assert cell == Cell(2, 5, 5)
    assert cell.mirrored == Cell(1, 4, 5)
    assert cell.middle + cell.mirrored.middle == pytest.approx(1.0)


def test_residuals_are_put_in_order_and_a_new_reference_is_not_taken_for_an_old_one():
    first, second = (3.0, 1.0, 2.0), (3.0, 1.0, 5.0)
    assert ascending(first).values == [1.0, 2.0, 3.0]
    assert ascending(first) == ascending(first)
    assert ascending(second).values == [1.0, 3.0, 5.0]
    assert ascending(first).mean == 2.0
    assert ascending(()).mean == 0.0
