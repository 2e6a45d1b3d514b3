"""FailureMixture: are more requests failing than this endpoint is known for?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from monitor.drift.detector import Observation, Reference, Round, State, Step
from monitor.drift.effect import Part, Trail
from monitor.drift.evidence import check, in_order, mixture, mixture_threshold, roll
from monitor.drift.watch import Watch

#: Before anything is known: one failure in a hundred, worth twenty requests.
GUESSED_FAILURES = 0.2
GUESSED_REQUESTS = 20.0

#: No endpoint is held more reliable than this. Otherwise one that never failed would be certain never to
#: fail: the bets then lose next to nothing a round, their sum grows by one a round, and it reaches the
#: threshold without a single failure.
FLOOR = 0.002

#: Requests from which the usual share is learnt; then it holds.
REQUESTS_HELD = 10_000

#: A changed stream is held against failures of at least this share if it had so many, so that the end of an
#: outage is told within a few rounds where hardly anything failed before.
LARGEST_STILL = 0.1

#: The multiples of the usual share that are bet on.
FACTORS = (2.0, 4.0, 10.0)


class FailureMixture:
    """Shiryaev-Roberts mixture on the share of failures (1 = failed), upward.

    Works without a capture: it starts from one failure in a hundred and learns the endpoint's own share.
    No case has a reference here: a failure is the endpoint's, whatever was asked.

    Simulated, realised over stated run length at 500 rounds (100 streams each): 1.1 to 1.6 for shares from
    .5 % to 50 %; no alarm at all where nothing fails.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1

    def fit(self, runs: Mapping[str, Sequence[float]]) -> Reference:
        """How many requests of the capture failed; see `Detector.fit`."""
        for case, values in runs.items():
            for value in values:
                check(case, value, 0.0, 1.0)
        asked = sum(len(values) for values in runs.values())
        if not asked:
            return Reference()
        failed = math.fsum(value for values in runs.values() for value in values)
        return Reference(prior={"failed": failed, "asked": float(asked)})

    def start(self) -> State:
        """The state of a stream that has seen nothing."""
        return Watch(
            sums=tuple(0.0 for _ in FACTORS),
            trails=tuple(Trail() for _ in FACTORS),
            own={"failed": 0.0, "asked": 0.0},
        ).dump()

    def update(self, state: State, reference: Reference, round: Round) -> Step:
        """Judges one round; see `Detector.update`.

        Raises:
            ValueError: A value is not finite or outside 0..1.
        """
        watch = Watch.load(state)
        threshold = mixture_threshold(round.run_length)
        observations = in_order(round, 0.0, 1.0)
        after = _judge(watch, reference, round, observations, threshold) if observations else watch
        verdict = after.verdict(mixture(after.sums), threshold, direction="up", spread=0.5)
        return Step(state=after.dump(), verdict=verdict)


def _judge(
    watch: Watch, reference: Reference, round: Round, observations: Sequence[Observation], threshold: float
) -> Watch:
    usual = _usual(watch, reference)
    failed, asked = math.fsum(one.value for one in observations), len(observations)
    bets = [_evidence(failed, asked, usual, _raised(usual, factor)) for factor in FACTORS]
    parts = [Part(one.case, one.value - usual, one.value - usual) for one in observations]
    followed = replace(watch, sums=roll(watch.sums, bets)).follow(round.at, bets, parts)
    trail = followed.trail
    after = followed.judge(
        mixture(followed.sums),
        threshold,
        size=trail.total / trail.n if trail.n else 0.0,
        reverse=-_evidence(failed, asked, usual, _still(watch.size, usual)),
    )
    if watch.changed or after.changed or watch.own["asked"] >= REQUESTS_HELD:
        return after
    own = {"failed": watch.own["failed"] + failed, "asked": watch.own["asked"] + asked}
    return replace(after, own=own)


def _usual(watch: Watch, reference: Reference) -> float:
    """The share of failures this endpoint is known for."""
    failed = watch.own["failed"] + reference.prior.get("failed", 0.0)
    asked = watch.own["asked"] + reference.prior.get("asked", 0.0)
    return max(FLOOR, (GUESSED_FAILURES + failed) / (GUESSED_REQUESTS + asked))


def _raised(usual: float, factor: float) -> float:
    """The share times the factor, at most half-way to all; never the share itself, so there is always a bet.

    The plain cap of one half would stop betting on an endpoint that fails every other time already.
    """
    return min(factor * usual, (1.0 + usual) / 2.0)


def _evidence(failed: float, asked: int, usual: float, raised: float) -> float:
    return failed * math.log(raised / usual) + (asked - failed) * math.log((1.0 - raised) / (1.0 - usual))


def _still(size: float, usual: float) -> float:
    """The share that a changed stream is held against: as estimated, from the mildest alternative up.

    At most the strongest or a tenth, so that half-way back from an outage is not taken for back.
    """
    most = min(max(_raised(usual, FACTORS[-1]), LARGEST_STILL), (1.0 + usual) / 2.0)
    return min(max(usual + size, _raised(usual, FACTORS[0])), most)
