"""RankBets: have positive measures (latency, time to first token, tokens) gone up, case by case?"""

import math
import random
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, median
from typing import ClassVar

from monitor.drift.detector import (
    RUNS_BEFORE_JUDGING,
    CaseReference,
    Observation,
    Reference,
    Round,
    State,
    Step,
    Verdict,
    VerdictKind,
)
from monitor.drift.effect import Part, Trail
from monitor.drift.evidence import check, in_order, mixture, mixture_threshold, roll
from monitor.drift.replay import RESIDUALS_HELD
from monitor.drift.watch import Watch

#: Shifts of a round's standardised rank sum that are bet on, and the largest bet on one round, in nats.
SHIFTS = (1.0, 2.0, 4.0)
LARGEST_BET = 4.0

#: Differences of logs are told apart to this many digits: less than a percent is nobody's business, and
#: the ties that rounding makes are drawn.
DIGITS = 2

#: Ranks among fewer residuals than this are too coarse to bet on.
RESIDUALS_NEEDED = 40

#: Replies of one round share the endpoint's load: the variance of their rank sum, learnt in control from
#: this guess, which counts as so many rounds, until that many rounds are in.
GUESSED_DISPERSION = 1.5
GUESS_COUNTS = 20.0
DISPERSION_HELD = 2_000

#: A round further out than this, in standard deviations, teaches nothing but that the dispersion may be
#: larger; one bad round beside a capture of sixty replies would otherwise make the next ones look usual.
FURTHEST_LEARNT = 3.0

_NORMAL = NormalDist()
_LEAST, _MOST = sys.float_info.min, sys.float_info.max


class RankBets:
    """Shiryaev-Roberts bets on the rank sum of a round, upward.

    Each log value is compared with its case's level, the median of its captured runs; the rank of that
    residual among the stream's residuals in control is uniform whatever their law, heavy tails and few
    distinct values included. Therefore a level holds once it is known: if it went on learning, residuals
    of later rounds would lie elsewhere than those they are ranked among, and a measure of few distinct values
    (tokens) would alarm for nothing. The normal scores of a round add up to one Z, scaled by its dispersion
    as learnt, because replies of one round share a load.

    Simulated, realised over stated run length at 500 rounds (40 streams each, seeds from 30,000): 2.8, 2.1 and
    4.4 for captures of 20, 5 and 100 cases with 3 runs, 2.8 with the tails of Student's t with three degrees of
    freedom, 1.8 where 7 % of replies are four times as long and all others alike, 6.6 with word counts.

    Known gaps: a load that drifts slowly (rounds correlated with the next ones) is not in the threshold; that
    needs the endpoint's own history. Ten per cent slower is learnt away on some streams before it is told. A
    wider spread at the same level is not looked for.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def fit(self, runs: Mapping[str, Sequence[float]]) -> Reference:
        """Each case's level (as runs and total, on the log scale) and leave-one-out residuals; see `Detector.fit`."""
        logs: dict[str, list[float]] = {}
        for case in sorted(runs):
            for value in runs[case]:
                check(case, value, _LEAST, _MOST)
                logs.setdefault(case, []).append(math.log(value))
        if not logs:
            return Reference()
        residuals = [
            _residual(value, median(values[:n] + values[n + 1 :]))
            for values in logs.values()
            if len(values) >= RUNS_BEFORE_JUDGING
            for n, value in enumerate(values)
        ]
        levels = {case: median(values) for case, values in logs.items()}
        return Reference(
            prior={"mean": math.fsum(levels.values()) / len(levels)},
            cases={
                case: CaseReference(
                    runs=len(values),
                    total=levels[case] * len(values),
                    total_sq=math.fsum(value * value for value in values),
                )
                for case, values in logs.items()
            },
            # Of a large capture every n-th: the first ones would be those of the first cases only.
            residuals=tuple(residuals[:: math.ceil(len(residuals) / RESIDUALS_HELD) or 1]),
        )

    def start(self) -> State:
        """The state of a stream that has seen nothing."""
        return Watch(
            sums=tuple(0.0 for _ in SHIFTS),
            trails=tuple(Trail() for _ in SHIFTS),
            own={"rounds": 0.0, "squares": 0.0},
        ).dump()

    def update(self, state: State, reference: Reference, round: Round) -> Step:
        """Judges one round; see `Detector.update`.

        Raises:
            ValueError: A value is not finite or not positive.
        """
        watch = Watch.load(state)
        threshold = mixture_threshold(round.run_length)
        observations = in_order(round, _LEAST, _MOST)
        found = _residuals(reference, observations)
        judged = found if len(reference.residuals) >= RESIDUALS_NEEDED else []
        scores = _scores(reference.residuals, judged, round.rng)
        scaled = _scaled(scores, watch)
        after = _judge(watch, round, judged, scores, threshold) if judged else watch
        verdict = _verdict(after, reference, observations, judged, threshold)
        if watch.changed or after.changed or abs(scaled) > FURTHEST_LEARNT:
            return Step(state=after.dump(), verdict=verdict)
        room = max(0, RESIDUALS_HELD - len(reference.residuals))
        return Step(
            state=after.dump(),
            verdict=verdict,
            learned=_learn(reference, observations),
            residuals=tuple(one.residual for one in found[:room]),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """One reply beside its case's level: its residual, and how far that lies off the usual one."""

    case: str
    residual: float
    difference: float


def _residual(value: float, level: float) -> float:
    return round(value - level, DIGITS)


def _residuals(reference: Reference, observations: Sequence[Observation]) -> list[_Found]:
    held = reference.residuals
    usual = math.fsum(held) / len(held) if held else 0.0  # of a skewed measure, not 0 beside a median
    found = []
    for one in observations:
        known = reference.cases.get(one.case)
        if known and known.runs >= RUNS_BEFORE_JUDGING:
            residual = _residual(math.log(one.value), known.mean)
            found.append(_Found(case=one.case, residual=residual, difference=residual - usual))
    return found


def _judge(
    watch: Watch, round: Round, judged: Sequence[_Found], scores: Sequence[float], threshold: float
) -> Watch:
    scaled = _scaled(scores, watch)
    bets = [shift * scaled - shift * shift / 2.0 for shift in SHIFTS]
    sums = roll(watch.sums, [min(bet, LARGEST_BET) for bet in bets])
    parts = [Part(one.case, one.difference, score) for one, score in zip(judged, scores, strict=True)]
    followed = replace(watch, sums=sums).follow(round.at, bets, parts, push=scaled)
    trail = followed.trail
    after = followed.judge(
        mixture(followed.sums),
        threshold,
        size=trail.push / trail.rounds if trail.rounds else 0.0,
        reverse=_reverse(watch.size, scaled),
    )
    if watch.changed or after.changed or watch.own["rounds"] >= DISPERSION_HELD:
        return after
    square = min(scaled * scaled, FURTHEST_LEARNT**2) * _dispersion(watch)
    own = {"rounds": watch.own["rounds"] + 1.0, "squares": watch.own["squares"] + square}
    return replace(after, own=own)


def _scaled(scores: Sequence[float], watch: Watch) -> float:
    """The round's rank sum in standard deviations; 0 where nothing was ranked."""
    return math.fsum(scores) / math.sqrt(len(scores) * _dispersion(watch)) if scores else 0.0


def _scores(residuals: Sequence[float], judged: Sequence[_Found], rng: random.Random) -> list[float]:
    """Normal scores of the ranks among the residuals in control; ties are drawn."""
    held = sorted(residuals)
    scores = []
    for one in judged:
        below = bisect_left(held, one.residual)
        equal = bisect_right(held, one.residual) - below
        rank = (below + rng.random() * (1 + equal)) / (len(held) + 1)
        scores.append(_NORMAL.inv_cdf(min(max(rank, 1e-9), 1.0 - 1e-9)))
    return scores


def _dispersion(watch: Watch) -> float:
    own = watch.own
    return (GUESS_COUNTS * GUESSED_DISPERSION + own["squares"]) / (GUESS_COUNTS + own["rounds"])


def _reverse(size: float, scaled: float) -> float:
    """Evidence of this round that a changed stream is back, against the shift as estimated, 1 to 4."""
    shift = min(max(size, SHIFTS[0]), SHIFTS[-1])
    return min(shift * shift / 2.0 - shift * scaled, LARGEST_BET)


def _verdict(
    watch: Watch,
    reference: Reference,
    observations: Sequence[Observation],
    judged: Sequence[_Found],
    threshold: float,
) -> Verdict:
    asked = len({one.case for one in observations})
    new = asked - len({one.case for one in judged})
    if not watch.changed and not judged and (observations or not watch.judged):
        known = len(reference.residuals)
        note = f"{known} of {RESIDUALS_NEEDED} replies known that it takes to rank new ones"
        if not reference.prior:
            note = "there is no baseline to compare with yet"
        return Verdict(kind=VerdictKind.LEARNING, threshold=threshold, scale="ratio", note=note)
    return watch.verdict(
        mixture(watch.sums),
        threshold,
        direction="up",
        scale="ratio",
        spread=1.0,
        inflation=_dispersion(watch),
        note=f"{new} of {asked} cases are new and not judged yet" if new else "",
    )


def _learn(reference: Reference, observations: Sequence[Observation]) -> dict[str, CaseReference]:
    learned: dict[str, CaseReference] = {}
    for one in observations:
        known = learned.get(one.case) or reference.cases.get(one.case) or CaseReference()
        if known.runs < RUNS_BEFORE_JUDGING:
            learned[one.case] = known.add(math.log(one.value))
    return learned
