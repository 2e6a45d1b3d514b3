"""Where replies stand: each beside its case's level, and ranked among the stream's residuals in control."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from monitor.drift.bets import Rank, ascending, ranks_of
from monitor.drift.detector import RUNS_BEFORE_JUDGING, CaseReference, Observation, Reference
from monitor.drift.levels import PARTS, Levels, known_of


class Found(NamedTuple):
    """Replies beside their cases' levels, in columns: a round is judged within tens of microseconds.

    Attributes:
        cases: Of the replies.
        residuals: How far they lie off their levels, in standard deviations.
        ranks: What the ranks of these among the residuals held say.
        differences: How far they lie off the usual residual, in logs.
    """

    cases: Sequence[str] = ()
    residuals: Sequence[float] = ()
    ranks: Sequence[Rank] = ()
    differences: Sequence[float] = ()


def held_level(values: Sequence[float]) -> CaseReference:
    """A case's level: all its runs but the last, which thus stands to it as a new reply will.

    Of fewer runs than it takes to judge all count, and the case goes on learning.
    """
    return known_of(values[:-1] if len(values) >= RUNS_BEFORE_JUDGING else values)


def is_known(reference: Reference) -> bool:
    """Whether there is a baseline, and not one of an earlier version, which kept no variances."""
    return "within" in reference.prior


def standing(reference: Reference, observations: Sequence[Observation]) -> Found:
    """The replies of cases that have a level; values are positive."""
    if not is_known(reference):
        return Found()
    levels, needed = Levels.load(reference.prior), reference.prior["runs"]
    between, pooled = levels.between, levels.within * levels.mean
    weighed: dict[int, tuple[float, float]] = {}
    held, usual = ascending(reference.residuals)
    cases, residuals, differences = [], [], []
    for one in observations:
        known = reference.cases.get(one.case)
        if known and (runs := known.runs) >= needed:
            if runs not in weighed:
                weighed[runs] = levels.weighed(runs)
            weight, spread = weighed[runs]
            expected = (between * known.total + pooled) / weight
            residual = round((math.log(one.value) - expected) / spread * PARTS) / PARTS
            cases.append(one.case)
            residuals.append(residual)
            differences.append((residual - usual) * spread)
    return Found(cases, residuals, ranks_of(residuals, held), differences)


def learn(reference: Reference, observations: Sequence[Observation]) -> dict[str, CaseReference]:
    """New cases learn until they have as many runs as the least known of the captured ones."""
    runs = reference.prior.get("runs", RUNS_BEFORE_JUDGING - 1)
    learned: dict[str, CaseReference] = {}
    for one in observations:
        known = learned.get(one.case) or reference.cases.get(one.case) or CaseReference()
        if known.runs < runs:
            learned[one.case] = known.add(math.log(one.value))
    return learned
