"""Every detector that is installed passes the same checks."""

import random
from importlib.metadata import entry_points

import pytest

from monitor.drift.contract import Draw, check_detector
from monitor.drift.detector import Observation, Reference, Round, State, Step
from monitor.drift.paired import PairedMixture

DETECTORS = sorted(entry_points(group="plumbline.detectors"), key=lambda entry: entry.name)


def graded(rng: random.Random, worse: bool) -> float:
    return 0.0 if worse else rng.choice((0.0, 0.5, 1.0, 1.0, 1.0))


def latency(rng: random.Random, worse: bool) -> float:
    return rng.lognormvariate(1.5 if worse else 0.0, 0.35)


def failed(rng: random.Random, worse: bool) -> float:
    return float(rng.random() < (0.5 if worse else 0.02))


DRAWS: dict[str, Draw] = {"paired": graded, "ranks": latency, "failures": failed}


def test_the_built_in_detectors_are_installed_as_plugins():
    assert {entry.name for entry in DETECTORS} >= {"paired", "ranks", "failures"}


@pytest.mark.parametrize("entry", DETECTORS, ids=lambda entry: entry.name)
def test_a_detector_keeps_the_contract(entry):
    check_detector(entry.load())


@pytest.mark.parametrize("entry", DETECTORS, ids=lambda entry: entry.name)
def test_a_detector_keeps_the_contract_on_its_own_kind_of_values(entry):
    check_detector(entry.load(), DRAWS.get(entry.name))


class FirstOnly(PairedMixture):
    """Looks at the observations in the order they came in."""

    def update(self, state: State, reference: Reference, round: Round) -> Step:
        first = round.observations[:1]
        return super().update(
            state,
            reference,
            Round(at=round.at, observations=first, run_length=round.run_length, rng=round.rng),
        )


class Forgiving(PairedMixture):
    """Takes what is not a number for a pass."""

    def update(self, state: State, reference: Reference, round: Round) -> Step:
        cleaned = [
            one if 0.0 <= one.value <= 1.0 else Observation(case=one.case, value=1.0)
            for one in round.observations
        ]
        return super().update(
            state,
            reference,
            Round(at=round.at, observations=cleaned, run_length=round.run_length, rng=round.rng),
        )


class Hoarder(PairedMixture):
    """Keeps more than a state may hold."""

    def update(self, state: State, reference: Reference, round: Round) -> Step:
        step = super().update(state, reference, round)
        return Step(state={**step.state, "hoard": "x" * 4_000}, verdict=step.verdict)


@pytest.mark.parametrize(
    ("detector", "rule"),
    [
        (FirstOnly, "the order of the observations must not matter"),
        (Forgiving, "must refuse nan"),
        (Hoarder, "bytes of 4096"),
    ],
)
def test_the_checks_name_the_rule_that_is_broken(detector, rule):
    with pytest.raises(AssertionError, match=rule):
        check_detector(detector)
