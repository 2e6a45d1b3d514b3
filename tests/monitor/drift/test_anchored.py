import math
import random

import pytest

from monitor.drift.anchored import ALPHA, REPLIES_NEEDED, boundary, compare
from monitor.drift.detector import CaseReference
from tests.monitor.drift.streams import less_able, main_pool, name, passes

EVERY, WINDOW = 50, 100


def known(rng, p, runs):
    values = [passes(rng, p) for _ in range(runs)]
    return CaseReference(runs=runs, total=sum(values), total_sq=sum(values))


def told_at(seed, slide, rounds):
    """The round of the look that finds a slide of so many points over 400 rounds; None where none does."""
    rng = random.Random(seed)
    pool = main_pool(rng)
    capture = {name(case): known(rng, p, 5) for case, p in enumerate(pool)}
    asked = []
    for round in range(1, rounds + 1):
        if round % 10 == 1:
            now = less_able(pool, slide * min(round / 400, 1.0)) if slide else pool
        asked.append(
            [(case % 500, passes(rng, now[case % 500])) for case in range(round * 20, round * 20 + 20)]
        )
        if round % EVERY == 0:
            latest: dict[str, CaseReference] = {}
            for case, value in (one for panel in asked[-WINDOW:] for one in panel):
                latest[name(case)] = latest.get(name(case), CaseReference()).add(value)
            found = compare(capture, latest, round // EVERY)
            assert found is not None
            if found.worse(higher_is_better=True):
                return round
    return None


def test_a_slide_of_five_points_is_found_while_it_lasts():
    found = [told_at(seed, 0.05, 400) for seed in range(10)]
    assert all(found)
    assert sum(found) / len(found) < 320  # simulated mean 253; four standard errors of ten are 60


def test_without_a_slide_looks_rarely_err():
    """At most 5 % of endpoints over all looks; more than 5 of 24 has a chance of 1 in 400."""
    assert sum(told_at(seed, 0.0, 300) is not None for seed in range(24)) <= 5


def test_worked_by_hand():
    capture = {"a": CaseReference(runs=50, total=40.0, total_sq=40.0)}
    now = {"a": CaseReference(runs=100, total=60.0, total_sq=60.0), "b": CaseReference(runs=5)}
    slide = compare(capture, now, look=1)
    within = (50 * 0.8 * 0.2 + 100 * 0.6 * 0.4 + 0.25) / (49 + 99 + 1)
    half = boundary(1) * math.sqrt(within * (1 / 100 + 1 / 50))
    assert slide is not None
    assert slide.difference == pytest.approx(-0.2)
    assert (slide.low, slide.high) == pytest.approx((-0.2 - half, -0.2 + half))
    assert (slide.cases, slide.replies) == (1, 100)
    assert slide.worse(higher_is_better=True)
    assert not slide.worse(higher_is_better=False)
    assert slide.sentence().startswith(
        "Against the capture: -20.0 points (-35.1 to -4.9, 1 cases, 100 replies)"
    )


def test_the_errors_of_all_looks_add_up_to_five_percent():
    def error(look):
        return 0.5 * math.erfc(boundary(look) / math.sqrt(2.0))

    assert sum(error(look) for look in range(1, 2_000)) == pytest.approx(ALPHA, rel=0.001)


def test_the_more_looks_the_wider():
    assert boundary(1) < boundary(2) < boundary(52)


def test_too_little_to_compare_gives_nothing():
    few = {"a": CaseReference(runs=REPLIES_NEEDED - 1, total=1.0, total_sq=1.0)}
    many = {"a": CaseReference(runs=REPLIES_NEEDED, total=1.0, total_sq=1.0)}
    assert compare(few, many, 1) is None
    assert compare(many, few, 1) is None
    assert compare(many, {"other": many["a"]}, 1) is None
    assert compare(many, many, 1) is not None


def test_looks_are_counted_from_one():
    with pytest.raises(ValueError, match="counted from 1"):
        compare({}, {}, 0)
