"""What the simulated model knows, and what its faults do."""

import random
from importlib.resources import files
from pathlib import Path
from statistics import fmean

import pytest

from monitor.cases import Scorers
from monitor.demo.mind import MEANING, Fault, answer, plan, questions
from monitor.plugins import Plugins
from probes import Reply, Timings
from rotation import read_cases

SCORERS = Scorers(Plugins(), {})
CASES = read_cases(
    Path(str(files("monitor.demo").joinpath("cases.jsonl"))),
    default_scorers=(),
    known_scorer=SCORERS.known,
    needs_target=SCORERS.needs_target,
)
KNOWN = questions()


def question(case):
    return str(case.messages[-1].content)


async def scored(case, text):
    reply = Reply(text=text, timings=Timings(total=0.1))
    values = [(await each.score(case, reply)).value for each in SCORERS.of(case).values()]
    return fmean(value for value in values if value is not None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_a_right_answer_is_right_and_every_wrong_one_is_wrong(case):
    known = KNOWN[question(case)]
    assert await scored(case, known.right) == 1.0
    for wrong in known.wrong:
        assert await scored(case, wrong) == 0.0


def test_there_are_forty_questions_of_about_95_percent_and_some_are_flaky():
    skills = [each.skill for each in KNOWN.values()]
    assert len(KNOWN) == len(CASES) == 40
    assert fmean(skills) == pytest.approx(0.95, abs=0.01)
    assert sum(skill < 0.9 for skill in skills) >= 4


def test_kind_and_time_follow_from_the_seed_and_every_kind_occurs():
    assert plan(3, "auto") == plan(3, "auto")
    assert {plan(seed, "auto")[0] for seed in range(60)} == set(Fault)
    assert plan(3, "none")[0] is None
    assert plan(3, "down") == (Fault.DOWN, plan(3, "auto")[1])


async def mean_score(fault):
    rng, total = random.Random(1), 0.0
    for case in CASES:
        known = KNOWN[question(case)]
        for _ in range(25):
            total += await scored(case, answer(known, fault, rng).text)
    return total / (25 * len(CASES))


@pytest.mark.parametrize("fault", [Fault.QUALITY, Fault.FORMAT, Fault.WEAKER])
async def test_a_fault_of_quality_is_a_real_one(fault):
    assert 0.1 < await mean_score(None) - await mean_score(fault) < 0.3


@pytest.mark.parametrize(("fault", "times"), [(Fault.SLOW, 1.8), (Fault.WEAKER, 0.6), (Fault.QUALITY, 1.0)])
def test_a_fault_of_pace_changes_both_times(fault, times):
    known = KNOWN[question(CASES[0])]
    well, ill = (answer(known, each, random.Random(2)) for each in (None, fault))
    assert ill.first_token == pytest.approx(times * well.first_token)
    assert ill.per_token == pytest.approx(times * well.per_token)


def test_every_fault_is_explained():
    assert MEANING.keys() == set(Fault)
