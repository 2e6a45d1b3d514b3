import json
import math
import random

import pytest

from monitor.drift.effect import CANDIDATE_BYTES, Gathered, Trail, boundary
from tests.monitor.drift.streams import EVERY, START


def replies(*parts):
    """Gathered from (case, difference, evidence) each."""
    return Gathered.of(*([*column] for column in zip(*parts, strict=True)))


def test_a_trail_starts_where_its_cusum_leaves_zero():
    trail = Trail()
    for number, bet in enumerate([1.0, -2.0, 0.5, 0.5]):
        trail = trail.follow(START + number * EVERY, bet, replies(("a", -0.1, bet)), hold=False)
    assert trail.since == START + 2 * EVERY
    assert (trail.rounds, trail.n) == (2, 2)
    assert trail.evidence == 1.0
    assert trail.worst() == ("a",)


def test_a_held_trail_goes_on_at_zero():
    trail = Trail().follow(START, 1.0, replies(("a", -0.1, 1.0)), hold=False)
    trail = trail.follow(START + EVERY, -5.0, replies(("a", 0.1, -5.0)), hold=True)
    assert trail.since == START
    assert trail.n == 2


def test_a_trail_survives_json():
    trail = Trail().follow(START, 1.0, replies(("b", -0.1, 1.0), ("a", -0.3, 2.0)), hold=False)
    assert Trail.load(json.loads(json.dumps(trail.dump()))) == trail
    assert Trail.load(json.loads(json.dumps(Trail().dump()))) == Trail()


def test_cases_are_named_by_evidence_and_ties_by_name():
    parts = replies(("c", 0.0, 1.0), ("b", 0.0, 1.0), ("a", 0.0, 3.0), ("d", 0.0, -1.0))
    assert Trail().follow(START, 1.0, parts, hold=False).worst() == ("a", "b", "c")


@pytest.mark.parametrize("key", ["k" * 300, "é" * 60, "short"])
def test_candidates_stay_inside_their_bytes(key):
    parts = replies(*[(f"{key}{index}", -0.5, 1.0) for index in range(50)])
    trail = Trail().follow(START, 1.0, parts, hold=False)
    assert len(json.dumps(trail.dump()["cases"])) <= CANDIDATE_BYTES


def test_equal_replies_still_have_a_width():
    trail = Trail().follow(START, 1.0, replies(*[("a", -1.0, 1.0)] * 20), hold=False)
    mean, low, high = trail.interval(0.5)
    assert mean == -1.0
    assert high - low > 0.1


def test_the_boundary_is_that_of_the_paper_and_shrinks():
    # t = 100, rho tuned for 100: sqrt(2 (t rho^2 + 1) / (t^2 rho^2) ln(sqrt(t rho^2 + 1) / alpha))
    rho_sq = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 100
    by_hand = math.sqrt(
        2 * (100 * rho_sq + 1) / (100**2 * rho_sq) * math.log(math.sqrt(100 * rho_sq + 1) / 0.05)
    )
    assert boundary(100) == pytest.approx(by_hand)
    widths = [boundary(n) for n in range(1, 2_000)]
    assert widths == sorted(widths, reverse=True)


def test_the_interval_covers_at_every_round_at_once():
    missed = 0
    for seed in range(100):
        rng = random.Random(seed)
        trail = Trail()
        covered = True
        for number in range(40):
            parts = replies(*[("a", float(rng.random() < 0.3) - 0.3, 1.0) for _ in range(20)])
            trail = trail.follow(START + number * EVERY, 1.0, parts, hold=False)
            interval = trail.interval(0.5)
            covered = covered and interval.low <= 0.0 <= interval.high
        missed += not covered
    assert missed <= 5


def test_several_replies_of_a_case_are_added_up():
    gathered = replies(("a", 0.5, 1.0), ("b", -0.5, 2.0), ("a", 1.0, -3.0))
    assert gathered.cases == {"a": -2.0, "b": 2.0}
    assert (gathered.n, gathered.total, gathered.total_sq) == (3, 1.0, 1.5)
