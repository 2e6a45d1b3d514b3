"""The benchmark's own mathematics, on laws whose answers are known."""

import math
import random
from functools import partial

import numpy as np
import pytest

from bench.detection import arl, optimum, pools, rivers, worlds
from bench.detection.arl import Measured, Path, Recorder
from bench.detection.line import Line, at_most, within
from monitor.drift.plan import brownian_height


def normal(rng, shape, changed, shift):
    return rng.normal(shift if changed else 0.0, 1.0, shape)


def log_ratio(x, shift):
    return shift * x - shift * shift / 2.0


def test_the_run_length_of_a_geometric_law_is_found_although_paths_end_early():
    rng = np.random.default_rng(1)
    evidence = np.where(rng.random((600, 3000)) < 1 / 500, 9.0, 0.0)
    found = arl.run_length(arl.paths_of(evidence), 5.0)
    assert found.value == pytest.approx(500.0, rel=4 / math.sqrt(found.n))
    assert found.error == pytest.approx(found.value / math.sqrt(found.n))


def test_the_threshold_for_a_run_length_has_that_run_length():
    rng = np.random.default_rng(2)
    paths = arl.paths_of(rng.exponential(1.0, (2000, 400)))  # P(evidence >= h) = e^-h a round
    assert arl.height_for(paths, 300.0) == pytest.approx(math.log(300.0), abs=0.2)


def test_a_recorder_keeps_what_an_array_of_the_same_path_says():
    values = np.random.default_rng(3).exponential(1.0, 400)
    recorder = Recorder(least=0.0)
    for value in values:
        recorder.add(value)
    (path,) = arl.paths_of(values[:, None])
    assert recorder.path() == Path(rounds=400, times=tuple(path.times), values=tuple(path.values))


def test_a_delay_is_counted_from_the_change_over_streams_that_were_silent():
    quiet = [Path(rounds=9, times=(3,), values=(2.0,)), Path(rounds=9, times=(3,), values=(7.0,))]
    after = [Path(rounds=9, times=(1, 4), values=(1.0, 6.0)), Path(rounds=9, times=(1,), values=(8.0,))]
    found, missed = arl.delay(after, quiet, 5.0)
    assert (found.value, found.n, missed) == (4.0, 1, 0.0)
    assert arl.delay(after, quiet, 6.5)[1] == 1.0


def test_the_optimum_is_the_brownian_limit_where_evidence_is_nearly_continuous():
    shift = 0.2
    information = shift * shift / 2.0
    known = optimum.Continuous(
        streams=300, panel=1, draw=partial(normal, shift=shift), ratio=partial(log_ratio, shift=shift)
    )
    found = optimum.delay(known, 4, target=1000.0, rounds=4000, quiet=0)
    height = brownian_height(1000.0, information)
    limit = (math.expm1(-height) + height) / information
    assert abs(found.value - limit) < 3.0 * found.error + 0.02 * limit


def test_the_main_pool_has_the_variances_of_the_tables():
    rng = random.Random(5)
    p = np.array([pools.main(rng, size=20_000)]).ravel()
    mean = p.mean()
    assert mean == pytest.approx(0.79, abs=0.01)  # .8 before clipping
    assert mean * (1.0 - mean) == pytest.approx(0.166, abs=0.006)
    assert (p * (1.0 - p)).mean() == pytest.approx(0.064, abs=0.003)


@pytest.mark.parametrize(
    ("change", "points"),
    [
        (partial(worlds.ability, points=-0.05), -0.05),
        (partial(worlds.ability, points=0.05), 0.05),
        (partial(worlds.points_failing, points=0.05), -0.05),
        (partial(worlds.category, points=0.05), -0.05),
        (partial(worlds.churn, share=0.15), 0.0),
    ],
)
def test_a_change_moves_the_mean_by_what_its_name_says(change, points):
    rng = random.Random(6)
    before = worlds.Scores(rng=rng, p=pools.main(rng))
    after = change(before)
    assert sum(after.p) / 500 - sum(before.p) / 500 == pytest.approx(points, abs=1e-6)
    assert list(after.p) != list(before.p)


def test_a_ramp_ends_where_the_step_does():
    rng = random.Random(7)
    before = worlds.Scores(rng=rng, p=pools.main(rng))
    ramp = worlds.ramp(before, -0.05, rounds=10)
    assert isinstance(ramp, worlds.Scores)
    for _ in range(30):
        ramp.begin()
    assert sum(ramp.p) == pytest.approx(sum(before.p) - 0.05 * 500)


def test_heavy_tails_have_the_spread_of_the_normal_ones():
    world = worlds.Latency(rng=random.Random(8), levels=[0.0], tails="t3")
    logs = [math.log(world.reply(0)) for _ in range(40_000)]
    middle = sorted(abs(value) for value in logs)[20_000]
    # The median of |t3| is .765, and its standard deviation sqrt(3).
    assert middle == pytest.approx(0.35 * 0.765 / math.sqrt(3.0), rel=0.03)


def test_a_rival_is_calibrated_to_the_run_length_that_was_asked_for():
    rng = np.random.default_rng(9)
    control = rng.normal(0.0, 0.1, (60, 600, 1))
    worse = np.concatenate((rng.normal(0.0, 0.1, (60, 50, 1)), rng.normal(-0.2, 0.1, (60, 100, 1))), axis=1)
    rival = rivers.Rival(
        name="PageHinkley", make=rivers.page_hinkley, watches="round mean", low=3.0, high=0.05
    )
    found = rivers.calibrated(rival, control, {"drop": worse}, quiet=50, target=300.0)
    assert found.run_length.value == pytest.approx(300.0, rel=0.35)
    assert found.delays["drop"].value < 10.0


@pytest.mark.parametrize(
    ("value", "verdict"), [(5.0, "aim"), (7.0, "must"), (8.5, "near"), (10.0, "MISS"), (math.nan, "MISS")]
)
def test_a_bar_is_missed_only_beyond_the_error_of_the_simulation(value, verdict):
    line = Line(
        case="x",
        ours=Measured(value=value, error=0.5, n=9),
        unit="rounds",
        seed=1,
        bars=at_most(8.0, 6.0),
    )
    assert line.verdict == verdict


def test_a_bar_on_both_sides_holds_between_them():
    bars = within((0.75, 1.4), (0.9, 1.2))
    assert [bars.must.holds(value) for value in (0.7, 0.8, 1.3, 1.5)] == [False, True, True, False]
