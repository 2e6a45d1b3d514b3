"""The checks that every detector passes, built in or third-party; call `check_detector` in your own tests."""

import copy
import json
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from monitor.drift.detector import Detector, Observation, Reference, Round, State, Step
from monitor.drift.replay import apply, refitted

#: What a stored state may weigh, in bytes of JSON.
LARGEST_STATE = 4_096

_ROUNDS = 500
_START = datetime(2026, 1, 1, tzinfo=UTC)

#: Draws one value of the measure; the flag says whether the endpoint is worse just now.
Draw = Callable[[random.Random, bool], float]


def check_detector(cls: Callable[[], Detector], draw: Draw | None = None) -> None:
    """Runs 500 rounds, some worse, some empty, some with new cases, and checks each step.

    Args:
        cls: The detector's class.
        draw: Draws a value in the detector's range; by default one in 0.05..1, higher while worse.

    Raises:
        AssertionError: A rule is broken; the message says which.
    """
    detector = cls()
    draw = draw or _draw
    _require(detector.api == 1, "api must be 1")
    _require(detector.version >= 1, "version must be a whole number from 1 on")
    _require(detector.start() == detector.start(), "start() must always give the same state")
    rng = _chance(7)
    cases = [f"support-quality/{index:04d}-{rng.getrandbits(256):064x}" for index in range(30)]
    runs = {case: [draw(rng, False) for _ in range(3)] for case in cases[:20]}
    before = copy.deepcopy(runs)
    reference = detector.fit(runs)
    _require(runs == before, "fit() must leave its argument untouched")
    _check_numbers(reference)
    _check_refusals(detector, reference, cases[0])
    state, unfitted = detector.start(), detector.fit({})
    blank = detector.start()
    for number in range(_ROUNDS):
        round = _round(number, cases, draw, rng)
        step = _checked_step(detector, state, reference, round, number)
        state = json.loads(json.dumps(step.state))
        reference = refitted(detector, apply(reference, step), step)
        _check_numbers(reference)
        step = _checked_step(detector, blank, unfitted, round, number)
        blank, unfitted = step.state, apply(unfitted, step)


def _chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - nothing is secret here, and the checks must repeat


def _draw(rng: random.Random, worse: bool) -> float:
    return 1.0 if worse else rng.uniform(0.05, 1.0)


def _round(number: int, cases: list[str], draw: Draw, rng: random.Random) -> Round:
    worse = number % 200 >= 150
    asked = [] if number % 50 == 49 else rng.sample(cases, 20)
    return Round(
        at=_START + timedelta(minutes=15 * number),
        observations=[Observation(case=case, value=draw(rng, worse)) for case in asked],
        run_length=500.0,
        rng=_chance(number),
    )


def _checked_step(detector: Detector, state: State, reference: Reference, round: Round, number: int) -> Step:
    given = copy.deepcopy((state, reference, round.observations))
    step = _update(detector, state, reference, round, number)
    _require(given == (state, reference, round.observations), "update() must leave its arguments untouched")
    stored = json.loads(json.dumps(state))
    _require(
        step == _update(detector, stored, reference, round, number),
        "the same arguments, the state from its JSON, must give the same step",
    )
    shuffled = list(round.observations)
    _chance(number).shuffle(shuffled)
    turned = Round(at=round.at, observations=shuffled, run_length=round.run_length, rng=round.rng)
    _require(
        step == _update(detector, state, reference, turned, number),
        "the order of the observations must not matter",
    )
    _check_step(step, round)
    return step


def _update(detector: Detector, state: State, reference: Reference, round: Round, number: int) -> Step:
    fresh = Round(
        at=round.at,
        observations=round.observations,
        run_length=round.run_length,
        rng=_chance(number),
    )
    return detector.update(state, reference, fresh)


def _check_step(step: Step, round: Round) -> None:
    stored = json.dumps(step.state, allow_nan=False)
    _require(len(stored) <= LARGEST_STATE, f"the state has {len(stored)} bytes of {LARGEST_STATE}")
    _require("v" in step.state, 'the state must hold its version under "v"')
    asked = {one.case for one in round.observations}
    _require(set(step.learned) <= asked, "only cases of the round may be learnt")
    verdict = step.verdict
    _require(math.isfinite(verdict.evidence), "evidence must be finite")
    _require(verdict.threshold > 0.0, "the threshold must be positive")
    shown = (verdict.effect, verdict.low, verdict.high)
    _require(all(value is None or math.isfinite(value) for value in shown), "the effect must be finite")
    _require(len({value is None for value in shown}) == 1, "an effect must come with its interval")
    _require(len(verdict.cases) <= 5, "at most five cases may be named")
    _require(all(math.isfinite(value) for value in step.residuals), "residuals must be finite")
    _require(all(math.isfinite(value) for value in step.log_bets), "log_bets must be finite")
    _require(set(step.again) <= asked, "only cases of the round may be wanted again")


def _check_numbers(reference: Reference) -> None:
    numbers = [*reference.prior.values(), *reference.residuals]
    for case in reference.cases.values():
        numbers += [case.total, case.total_sq]
    _require(all(math.isfinite(number) for number in numbers), "a reference must hold finite numbers")


def _check_refusals(detector: Detector, reference: Reference, case: str) -> None:
    for value in (math.nan, math.inf, -math.inf):
        round = Round(
            at=_START,
            observations=[Observation(case=case, value=value)],
            run_length=500.0,
            rng=_chance(0),
        )
        try:
            detector.update(detector.start(), reference, round)
        except ValueError:
            continue
        raise AssertionError(f"update() must refuse {value!r} with a ValueError")


def _require(kept: bool, rule: str) -> None:
    if not kept:
        raise AssertionError(rule)
