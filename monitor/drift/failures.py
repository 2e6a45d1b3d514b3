"""FailureMixture: are more requests failing than this endpoint is known for?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from monitor.drift.detector import Observation, Reference, Round, State, Step
from monitor.drift.effect import NOTHING, Gathered
from monitor.drift.evidence import alarming, check, in_order, mixture, mixture_threshold, roll
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

#: Where half of all requests fail as a rule, nothing is bet on: twice as many is no more than all of them. An
#: absolute rule watches such an endpoint.
LARGEST_USUAL = 0.5
OFTEN = "half of its requests or more fail as a rule: set an absolute rule to watch it for still more"

_NO_SUMS = (0.0,) * len(FACTORS)
_NO_TRAILS = (NOTHING,) * len(FACTORS)


class FailureMixture:
    """Shiryaev-Roberts mixture on the share of failures (1 = failed), upward.

    Works without a capture: it starts from one failure in a hundred and learns the endpoint's own share.
    No case has a reference here: a failure is the endpoint's, whatever was asked.

    Simulated, realised over stated run length at 500 and at 2,000 rounds of 20 (300 streams of 4,000 rounds, seed 3):
    1.3 and 1.3 for a share of .2 %, .9 and .8 for .5 %, 1.1 and .9 for 1 %, 1.5 and 1.4 for 3 %, 2 to 3 from 10 to
    50 %; far above 1 below the floor, and no alarm at all where nothing fails. Nothing is bet on from 50 % up.
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
            sums=_NO_SUMS,
            trails=_NO_TRAILS,
            own={"failed": 0.0, "asked": 0.0},
        ).dump()

    def update(self, state: State, reference: Reference, round: Round) -> Step:
        """Judges one round; see `Detector.update`.

        Raises:
            ValueError: A value is not finite or outside 0..1.
        """
        watch = Watch.load(state)
        observations = in_order(round, 0.0, 1.0)
        usual = _usual(watch, reference)
        threshold = mixture_threshold(round.run_length) + round.correction
        told = partial(Watch.verdict, direction="up", spread=0.5)
        if not observations:
            return Step(state=watch.dump(), verdict=told(watch, mixture(watch.sums), threshold))
        asked, failed = len(observations), math.fsum([one.value for one in observations])
        if usual >= LARGEST_USUAL and not watch.changed:
            resting = replace(watch, sums=_NO_SUMS, trails=_NO_TRAILS, own=_learnt(watch, failed, asked))
            return Step(state=resting.dump(), verdict=told(resting, 0.0, threshold, note=OFTEN))
        odds = [_odds(usual, _raised(usual, factor)) for factor in FACTORS]
        rest = min(_rest([asked * passed for _, passed in odds]), threshold / 2.0)
        bets = tuple([failed * lost + (asked - failed) * passed for lost, passed in odds])
        after = _judge(watch, usual, round, observations, bets, threshold)
        statistic = max(0.0, mixture(after.sums) - rest)
        judged = not (watch.changed or after.changed)
        return Step(
            state=after.dump(),
            verdict=told(after, statistic, threshold - rest),
            log_bets=bets if judged else (),
        )


def _judge(
    watch: Watch,
    usual: float,
    round: Round,
    observations: Sequence[Observation],
    bets: Sequence[float],
    threshold: float,
) -> Watch:
    above = [one.value - usual for one in observations]
    gathered = Gathered.of([one.case for one in observations], above, above)
    sums = watch.sums if watch.changed else roll(watch.sums, bets)
    followed = watch.follow(round.at, sums, bets, gathered)
    trail, statistic = followed.trail, mixture(sums)
    alarms = alarming(statistic, threshold, round)
    asked, failed = len(observations), math.fsum([one.value for one in observations])
    reverse = 0.0
    if watch.changed:
        lost, passed = _odds(usual, _still(watch.size, usual))
        reverse = -(failed * lost + (asked - failed) * passed)
    return followed.judge(
        statistic,
        alarms=alarms,
        size=trail.total / trail.n if trail.n else 0.0,
        reverse=reverse,
        own=watch.own if watch.changed or alarms else _learnt(watch, failed, asked),
    )


def _learnt(watch: Watch, failed: float, asked: int) -> Mapping[str, float]:
    if watch.own["asked"] >= REQUESTS_HELD:
        return watch.own
    return {"failed": watch.own["failed"] + failed, "asked": watch.own["asked"] + asked}


def _usual(watch: Watch, reference: Reference) -> float:
    """The share of failures this endpoint is known for."""
    failed = watch.own["failed"] + reference.prior.get("failed", 0.0)
    asked = watch.own["asked"] + reference.prior.get("asked", 0.0)
    return max(FLOOR, (GUESSED_FAILURES + failed) / (GUESSED_REQUESTS + asked))


def _raised(usual: float, factor: float) -> float:
    """The share times the factor, at most half-way to all; always above the share itself.

    A plain cap of one half would lie below a share above it, and bet that fewer requests fail.
    """
    return min(factor * usual, (1.0 + usual) / 2.0)


def _rest(losses: Sequence[float]) -> float:
    """Where the statistic rests while nothing fails, in nats.

    A round of a reliable endpoint says little, and until a failure comes the sums gather rounds: S = (1 + S) L
    stands still at 1 / (1/L - 1). Evidence and threshold are both told from there, so that a stream without
    a failure shows none; whether it alarms is the same.

    Args:
        losses: The log of each alternative's L where all requests of a round pass.
    """
    return math.log(max(1.0, math.fsum([1.0 / math.expm1(-loss) for loss in losses]) / len(losses)))


def _odds(usual: float, raised: float) -> tuple[float, float]:
    """The log of the ratio of `raised` to `usual` for a request that failed, and for one that did not."""
    return math.log(raised / usual), math.log((1.0 - raised) / (1.0 - usual))


def _still(size: float, usual: float) -> float:
    """The share that a changed stream is held against: as estimated, from the mildest alternative up.

    At most the strongest or a tenth, so that half-way back from an outage is not taken for back.
    """
    most = min(max(_raised(usual, FACTORS[-1]), LARGEST_STILL), (1.0 + usual) / 2.0)
    return min(max(usual + size, _raised(usual, FACTORS[0])), most)
