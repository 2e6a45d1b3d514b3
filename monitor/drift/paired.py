"""PairedCusum: has this endpoint become worse at the very cases it was asked before?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from monitor.drift.evidence import check, in_order, nats
from monitor.drift.plan import page_threshold
from monitor.drift.pool import Pool, design_drop, evidence, fit_pool, information, shift_for
from monitor.drift.watch import Watch

#: A case learns until it has 25 runs and the pool 500 rounds' worth of them; then its reference holds.
#: Holding earlier makes a small pool's luck at the capture permanent: 25 runs of one case alarmed falsely
#: in a third of the streams.
RUNS_HELD = 25
ROUNDS_LEARNT = 500

#: Falls of the pool, in multiples of the design drop. The first raises the alarm. The one with the most
#: evidence dates the change. The largest that the estimated effect reaches is the law a changed stream is
#: held against: none beyond four, so that half-way back from an outage is not taken for back.
RUNGS = (1, 2, 4)

#: The size of panel that the threshold is made for follows a larger one at once and a smaller one by 2 % a
#: round, so that one round of few replies does not lower it.
PANEL_FADES = 0.98


class PairedCusum:
    """Page's CUSUM on paired scores in 0..1, against a common fall of all cases in logit.

    Each case is compared with its own past, so that the panel's luck of hard and easy cases adds no noise.
    With p the value expected of a case and q the value after the fall, a score x adds
    l = x ln(q/p) + (1 - x) ln((1-q)/(1-p)). exp(l) is convex in x, so its mean is at most 1 wherever x has
    mean p: graded scores are as safe as passes and failures.

    Simulated, realised over stated run length at 500 rounds (100 streams each): .9 to 1.3 for twenty cases at
    .5 or .95, five cases with 20 runs, and fifty of which most never pass; 1.9 to 3.1 for pools of mixed
    difficulty of 20 to 500 cases with 3 or 5 runs; 4 and more where nearly everything passes. Known gap:
    graded scores that hardly vary never alarm falsely but are slow (10 points in 17 rounds, 5 points are
    mostly learnt away); they deserve bets of their own.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def fit(self, runs: Mapping[str, Sequence[float]]) -> Reference:
        """The pool's mean and worth, the design shifts, and each case's runs; see `Detector.fit`."""
        for case, values in runs.items():
            for value in values:
                check(case, value, 0.0, 1.0)
        if not any(runs.values()):
            return Reference()
        pool = fit_pool(runs)
        cases = {
            case: CaseReference(
                runs=len(values), total=math.fsum(values), total_sq=math.fsum(v * v for v in values)
            )
            for case, values in runs.items()
        }
        expected = [pool.expected(case.runs, case.total) for case in cases.values()]
        mean = math.fsum(expected) / len(expected)
        drop = design_drop(mean)
        prior = {"mean": pool.mean, "worth": pool.worth, "size": float(len(cases)), "drop": drop}
        for rung in RUNGS:
            prior[f"shift_{rung}"] = shift_for(expected, min(rung * drop, 0.9 * mean))
        prior["information"] = information(expected, prior["shift_1"])
        return Reference(prior=prior, cases=cases)

    def start(self) -> State:
        """The state of a stream that has seen nothing."""
        return Watch(trails=tuple(Trail() for _ in RUNGS), own={"panel": 0.0}).dump()

    def update(self, state: State, reference: Reference, round: Round) -> Step:
        """Judges one round; see `Detector.update`.

        Raises:
            ValueError: A score is not finite or outside 0..1.
        """
        watch = Watch.load(state)
        observations = in_order(round, 0.0, 1.0)
        judged = [
            one
            for one in observations
            if reference.prior and _runs(reference, one.case) >= RUNS_BEFORE_JUDGING
        ]
        fading = PANEL_FADES * watch.own["panel"] if judged else watch.own["panel"]
        panel = max(float(len(judged)), fading)
        threshold = _threshold(round.run_length, reference, panel)
        if judged:
            after = self._judge(replace(watch, own={"panel": panel}), reference, round, judged, threshold)
        else:
            after = watch
        learned = {} if after.changed or watch.changed else _learn(reference, observations)
        return Step(
            state=after.dump(),
            verdict=self._verdict(after, reference, observations, judged, threshold),
            learned=learned,
        )

    def _judge(
        self,
        watch: Watch,
        reference: Reference,
        round: Round,
        judged: Sequence[Observation],
        threshold: float,
    ) -> Watch:
        pool = Pool(mean=reference.prior["mean"], worth=reference.prior["worth"])
        shifts = [reference.prior[f"shift_{rung}"] for rung in RUNGS]
        expected = [
            pool.expected(known.runs, known.total) for known in (reference.cases[one.case] for one in judged)
        ]
        pairs = [(one.value, p) for one, p in zip(judged, expected, strict=True)]
        mildest = [evidence(x, p, shifts[0]) for x, p in pairs]
        parts = [
            Part(one.case, one.value - p, gain)
            for one, p, gain in zip(judged, expected, mildest, strict=True)
        ]
        bets = [math.fsum(mildest), *(_gained(pairs, shift) for shift in shifts[1:])]
        reverse = -_gained(pairs, shifts[_rung(watch.size / reference.prior["drop"])])
        followed = watch.follow(round.at, bets, parts)
        trail = followed.trail
        size = -trail.total / trail.n if trail.n else 0.0
        return followed.judge(followed.trails[0].evidence, threshold, size=size, reverse=reverse)

    def _verdict(
        self,
        watch: Watch,
        reference: Reference,
        observations: Sequence[Observation],
        judged: Sequence[Observation],
        threshold: float,
    ) -> Verdict:
        new = len({one.case for one in observations} - {one.case for one in judged})
        asked = len({one.case for one in observations})
        note = f"{new} of {asked} cases are new and not judged yet" if new else ""
        if not reference.prior:
            note = "there is no baseline to compare with yet"
        if not watch.changed and not judged and (observations or not watch.judged):
            return Verdict(kind=VerdictKind.LEARNING, threshold=threshold, note=note)
        return watch.verdict(watch.trails[0].evidence, threshold, direction="down", spread=0.5, note=note)


def _threshold(run_length: float, reference: Reference, panel: float) -> float:
    """Page's for the information of a panel of this size; never more than e^h <= run length asks for."""
    safe = nats(run_length)
    nats_a_round = reference.prior.get("information", 0.0) * panel
    if nats_a_round <= 0.0 or math.isinf(safe):
        return safe
    return min(safe, page_threshold(run_length, nats_a_round))


def _runs(reference: Reference, case: str) -> int:
    known = reference.cases.get(case)
    return known.runs if known else 0


def _gained(pairs: Sequence[tuple[float, float]], shift: float) -> float:
    return math.fsum(evidence(x, p, shift) for x, p in pairs)


def _rung(drops: float) -> int:
    """The largest rung that an effect of so many design drops reaches, at least the first."""
    return max((index for index, rung in enumerate(RUNGS) if rung <= drops), default=0)


def _learn(reference: Reference, observations: Sequence[Observation]) -> dict[str, CaseReference]:
    """The references with the replies of this round, each until it holds."""
    size = max(reference.prior.get("size", 1.0), 1.0)
    held_at = max(RUNS_HELD, math.ceil(ROUNDS_LEARNT * len(observations) / size))
    learned: dict[str, CaseReference] = {}
    for one in observations:
        known = learned.get(one.case) or reference.cases.get(one.case) or CaseReference()
        if known.runs < held_at:
            learned[one.case] = known.add(one.value)
    return learned
