"""PairedMixture: has this endpoint become worse at the very cases it was asked before?"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from monitor.drift import binary, graded
from monitor.drift.course import Course, carried_on
from monitor.drift.detector import (
    Observation,
    Reference,
    Role,
    Round,
    State,
    Step,
    Verdict,
    VerdictKind,
)
from monitor.drift.evidence import check, in_order, mixture_threshold
from monitor.drift.laws import GAIN_WEIGHTS, WEIGHTS
from monitor.drift.levels import known_of
from monitor.drift.mixture import Mixture, statistic
from monitor.drift.stream import LAYOUT, Stream
from monitor.drift.visits import taken_apart

_WHOLE = frozenset((0.0, 1.0))


class PairedMixture:
    """Shiryaev-Roberts mixture on paired scores: passes and failures, or grades in 0..1.

    Each case is compared with its own past, so that the panel's luck of hard and easy cases adds no noise.
    Which engine judges is settled at the capture: where all captured scores are 0 or 1, `binary`; else `graded`.
    A graded score that comes later to a stream of passes is rounded to a pass with its own value as the
    probability, so that a reply passes as often as its mean says and the stated rate holds exactly.

    A change to the worse is `changed` with direction "down". Gains have sums and a threshold of their own and
    are told with direction "up"; both keep the baseline. `Round.correction` is that of the changes to the worse.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = LAYOUT

    def fit(self, runs: Mapping[str, Sequence[float]]) -> Reference:
        """The pool's law and each case's runs; see `Detector.fit`."""
        for case, values in runs.items():
            for value in values:
                check(case, value, 0.0, 1.0)
        if not any(runs.values()):
            return Reference()
        if any(value not in (0.0, 1.0) for values in runs.values() for value in values):
            return graded.fit(runs)
        cases = {case: known_of(values) for case, values in runs.items()}
        return Reference(prior=binary.fit(cases), cases=cases)

    def refit(self, reference: Reference) -> Mapping[str, float]:
        """The pool's law after all that its cases have learnt; the new `prior`.

        Args:
            reference: With all cases of the pool.
        """
        if not reference.prior or graded.is_graded(reference):
            return reference.prior
        return binary.fit(reference.cases, reference.prior)

    def start(self) -> State:
        """The state of a stream that has seen nothing."""
        return Stream(mixture=Mixture.empty(0)).dump()

    def update(self, state: State, reference: Reference, round: Round) -> Step:
        """Judges one round; see `Detector.update`.

        Raises:
            ValueError: A score is not finite or outside 0..1, or the state is of another version.
        """
        law = mixture_threshold(round.run_length)
        # Passes and failures are counted, so that their order is all the same.
        counted = not graded.is_graded(reference) and {one.value for one in round.observations} <= _WHOLE
        observations = round.observations if counted else in_order(round, 0.0, 1.0)
        stream = Stream.load(state)
        if not reference.prior:
            note = "there is no baseline to compare with yet"
            verdict = Verdict(kind=VerdictKind.LEARNING, threshold=law + round.correction, note=note)
            return Step(state=state, verdict=verdict)
        if graded.is_graded(reference):
            law = graded.law(reference.prior, round.run_length)
            course = _graded(stream, reference, observations)
        else:
            course = _binary(stream, reference, observations, None if counted else round.rng)
        return carried_on(stream, reference, round, course, law)


def gain_evidence(state: State) -> float:
    """The statistic of gains in a state, in nats; a verdict shows that of changes to the worse."""
    stream = Stream.load(state)
    by_count = {len(one): one for one in (GAIN_WEIGHTS, graded.WEIGHTS)}
    weights = by_count.get(stream.gains, (1.0 / max(stream.gains, 1),) * stream.gains)
    return statistic(Mixture(stream.mixture.rows[: stream.gains]).shares(weights))


def _binary(
    stream: Stream, reference: Reference, observations: Sequence[Observation], rng: random.Random | None
) -> Course:
    """A round of passes and failures, judged; graded scores among them need `rng`."""
    note = ""
    if rng is not None:
        observations, rounded = _rounded(observations, rng)
        note = f"{rounded} graded scores rounded by chance: take a new baseline to judge them as they are"
    stream.make_room(len(GAIN_WEIGHTS), len(WEIGHTS))
    stream.meet({one.slices for one in observations})
    asked = taken_apart(reference, observations, stream.pending)
    judged = binary.judge(reference, asked, stream.repeats, stream.slices)
    return Course(
        judged=judged,
        learned=asked.learned,
        cases=asked.cases,
        panel=asked.panel,
        weights=binary.weights(len(stream.mixture.rows)),
        refits=True,
        note=note,
    )


def _graded(stream: Stream, reference: Reference, observations: Sequence[Observation]) -> Course:
    """A round of graded scores, judged."""
    weights = graded.weights(reference.prior)
    count = len(weights) // 2
    stream.make_room(count, count)
    asked = [one for one in observations if one.role is not Role.REASK]
    judged = graded.judge(reference, asked, stream.repeats)
    return Course(
        judged=judged,
        learned=graded.learned(reference, asked),
        cases=len({one.case for one in asked}),
        panel=len({one.case for one in asked if one.role is Role.REGULAR}),
        weights=weights,
    )


def _rounded(observations: Sequence[Observation], rng: random.Random) -> tuple[Sequence[Observation], int]:
    """Graded scores as passes with their own value as the probability, and how many there were."""
    whole = [
        one if one.value in _WHOLE else replace(one, value=float(rng.random() < one.value))
        for one in observations
    ]
    return whole, sum(before is not after for before, after in zip(observations, whole, strict=True))
