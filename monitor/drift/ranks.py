"""RankBets: have positive measures (latency, time to first token, tokens) gone up, case by case?"""

import math
from collections.abc import Mapping, Sequence
from sys import float_info
from typing import ClassVar

from monitor.drift.bets import LAWS
from monitor.drift.detector import (
    RUNS_BEFORE_JUDGING,
    Observation,
    Reference,
    Round,
    State,
    Step,
    Verdict,
    VerdictKind,
)
from monitor.drift.effect import NOTHING, Gathered
from monitor.drift.evidence import alarming, check, in_order, mixture, nats, roll
from monitor.drift.levels import fit_levels, known_of
from monitor.drift.load import Load
from monitor.drift.replay import RESIDUALS_HELD
from monitor.drift.standing import Found, held_level, is_known, learn, standing
from monitor.drift.watch import Watch

#: By how much these mixtures overshoot their threshold on average, in nats; simulated, see `RankBets`.
OVERSHOOT = 1.3

#: By how much more, in nats, where all of a residual's variance were the error of its case's level: replies that
#: are asked in turn share these errors out evenly, and their sum varies less than that of independent ones.
#: Simulated like `OVERSHOOT`.
EVENLY = 2.0
#: Replies over which evidence gathers: of a pool so large or smaller all cases have their turn meanwhile.
GATHERED = 100

#: Ranks among fewer residuals than this are too coarse to bet on.
RESIDUALS_NEEDED = 40

#: The laws whose CUSUMs date a change and remember its cases: all replies slower, some much slower.
DATED = (0, 2)
#: A change that moved replies by MOVED standard deviations on average is held against a shift for its end, of at
#: most CLEAR, so that half-way back is not taken for back; a smaller one is a change of the tail.
MOVED = 0.3
CLEAR = 0.9
#: The largest evidence of one round that a change is over, in nats; one lucky round is not its end.
LARGEST_REVERSE = 4.0

#: Residuals that a capture gives to the reference at most: few, since each run of a capture met one load only.
CAPTURED_HELD = 200

_LEAST, _MOST = float_info.min, float_info.max


class RankBets:
    """Shiryaev-Roberts mixture of bets on the ranks of replies, upward.

    Each log value is compared with its case's level; where the residual ranks among the stream's residuals
    in control is uniform whatever their law, heavy tails and few distinct values included, as long as new
    residuals and those held are made alike. Therefore a level is made of all captured runs but the last and
    then holds: a new reply stands to it as each captured run stands to the others. A level that learns on
    moves later residuals to places where those held do not lie. Simulated with levels that learn up to 90
    runs, realised over stated run length was .01 for measures of two values and for long replies among equal
    ones, .10 where 7 % of replies take four times as long, .4 to .5 for short token counts.

    A reference of residuals that stood still would be as wrong: it grows to 2,000. Where rounds share a load
    that outlasts them, bets are tempered by what is known of it; see `Load`.

    Where the cases of a pool all have their turn while evidence gathers, the errors of their levels are shared out
    evenly, and the mixture overshoots by more; see `overshoot`.

    Simulated, realised over stated run length at 2,000 rounds (150 to 250 streams of 4,000 rounds, seeds from
    90000; errors about 10 %): 1.0 for 500 cases with 5 runs, .7, 1.3, 1.2 and 1.0 for 5, 20, 40 and 100 cases with
    3 runs (2.3, 1.9 and 1.8 for the last three before their overshoot was counted), 1.1 and 1.3 for 20 cases
    with 5 and 10 runs; with the tails of Student's t with three degrees of freedom .8 to 1.2. With 20 and 100 cases
    of 3 runs (40 streams, errors 20 to 30 %) .7 for measures of two values, .6 and 1.4 where 7 % take four times
    as long, 1.7 and .8 for short token counts. Under a load that all replies of a round share (sd .1,
    autocorrelation .8) about .6 once it is learnt, .02 if nothing tempered.

    Known gaps: a load of hours of the day is not in the baseline; output tokens do not explain latency.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 2
    directions: ClassVar[tuple[str, ...]] = ("up",)

    def fit(self, runs: Mapping[str, Sequence[float]]) -> Reference:
        """The pool's spread, each case's level, and leave-one-out residuals, on the log scale; see `Detector.fit`."""
        logs: dict[str, list[float]] = {}
        for case in sorted(runs):
            for value in runs[case]:
                check(case, value, _LEAST, _MOST)
                logs.setdefault(case, []).append(math.log(value))
        if not logs:
            return Reference()
        levels = fit_levels(logs)
        held = {case: held_level(values) for case, values in logs.items()}
        residuals = [
            levels.residual(value, known_of([*values[:n], *values[n + 1 :]]))
            for values in logs.values()
            if len(values) >= RUNS_BEFORE_JUDGING
            for n, value in enumerate(values)
        ]
        full = [case.runs for case in held.values() if case.runs >= RUNS_BEFORE_JUDGING - 1]
        fewest = min(full, default=RUNS_BEFORE_JUDGING - 1)
        return Reference(
            prior={
                **levels.dump(),
                "runs": float(fewest),
                "lasting": min(1.0, GATHERED / len(held)) * levels.lasting(fewest),
            },
            cases=held,
            # Of a large capture every n-th: the first ones would be those of the first cases only.
            residuals=tuple(residuals[:: math.ceil(len(residuals) / CAPTURED_HELD) or 1]),
        )

    def start(self) -> State:
        """The state of a stream that has seen nothing."""
        sides = len(self.directions)
        return Watch(
            sums=(0.0,) * (len(LAWS) * sides),
            trails=(NOTHING,) * (len(_dated(sides)) * sides),
            own={"side": 0.0, **Load().dump()},
        ).dump()

    def update(self, state: State, reference: Reference, round: Round) -> Step:
        """Judges one round; see `Detector.update`.

        Raises:
            ValueError: A value is not finite or not positive.
        """
        watch = Watch.load(state)
        threshold = nats(round.run_length) - overshoot(reference.prior) + round.correction
        observations = in_order(round, _LEAST, _MOST)
        found = standing(reference, observations)
        judged = found if len(reference.residuals) >= RESIDUALS_NEEDED else Found()
        load = Load.load(watch.own)
        temper = load.temper
        bets = self._bets(judged, temper)
        after = self._judge(watch, load, round, judged, bets, threshold) if judged.cases else watch
        verdict = self._verdict(after, load, reference, observations, judged, threshold)
        if watch.changed or after.changed:
            return Step(state=after.dump(), verdict=verdict)
        return Step(
            state=after.dump(),
            verdict=verdict,
            learned=learn(reference, observations),
            residuals=given(reference, found.residuals, watch.judged, temper),
            log_bets=bets,
        )

    def _bets(self, judged: Found, temper: float) -> tuple[float, ...]:
        """The round's sum of each law's bets, tempered, upward laws first; nothing where nothing was ranked."""
        if not judged.cases:
            return ()
        each = [[rank.up for rank in judged.ranks]]
        if len(self.directions) > 1:
            each.append([rank.down for rank in judged.ranks])
        return tuple([temper * math.fsum(law) for side in each for law in zip(*side, strict=True)])

    def _judge(
        self,
        watch: Watch,
        load: Load,
        round: Round,
        judged: Found,
        bets: Sequence[float],
        threshold: float,
    ) -> Watch:
        sides = len(self.directions)
        sums = watch.sums if watch.changed else roll(watch.sums, bets)
        up = watch.own["side"] == 0.0 if watch.changed else _leads_up(sums, sides)
        scores = [rank.score if up else -rank.score for rank in judged.ranks]
        score = math.fsum(scores) if up else -math.fsum(scores)
        followed = watch.follow(
            round.at,
            sums,
            [bets[side * len(LAWS) + law] for side in range(sides) for law in _dated(sides)],
            Gathered.of(judged.cases, judged.differences, scores),
            push=score,
        )
        trail, statistic = followed.trail, mixture(sums)
        alarms = alarming(statistic, threshold, round)
        if not (watch.changed or alarms):
            load = load.after(score / math.sqrt(len(scores)))
        return followed.judge(
            statistic,
            alarms=alarms,
            size=abs(trail.push) / trail.n if trail.n else 0.0,
            reverse=_reverse(watch.size, scores, bets if up else bets[len(LAWS) :], load.temper)
            if watch.changed
            else 0.0,
            own={"side": 0.0 if up else 1.0, **load.dump()},
        )

    def _verdict(
        self,
        watch: Watch,
        load: Load,
        reference: Reference,
        observations: Sequence[Observation],
        judged: Found,
        threshold: float,
    ) -> Verdict:
        asked = len({one.case for one in observations})
        new = asked - len(set(judged.cases))
        if not watch.changed and not judged.cases and (observations or not watch.judged):
            known = len(reference.residuals)
            note = f"{known} of {RESIDUALS_NEEDED} replies known that it takes to rank new ones"
            if reference.prior and not is_known(reference):
                note = "the baseline was captured by an earlier version; capture it again"
            elif not reference.prior:
                note = "there is no baseline to compare with yet"
            return Verdict(kind=VerdictKind.LEARNING, threshold=threshold, scale="ratio", note=note)
        return watch.verdict(
            mixture(watch.sums),
            threshold,
            direction=self.directions[int(watch.own["side"])],
            scale="ratio",
            spread=1.0,
            inflation=load.dispersion,
            note=f"{new} of {asked} cases are new and not judged yet" if new else "",
        )


class TwoWayRankBets(RankBets):
    """Bets on ranks both upward and downward, for tokens and cost: shorter answers are as telling as longer.

    The laws of both directions share one mixture, so that the stream takes no second share of the budget;
    each pays ln 2 nats for it. The side that holds more of the evidence is the direction that is told.
    """

    directions: ClassVar[tuple[str, ...]] = ("up", "down")


def overshoot(prior: Mapping[str, float]) -> float:
    """By how much the mixture of a stream with this prior overshoots its threshold on average, in nats."""
    return OVERSHOOT + EVENLY * prior.get("lasting", 0.0)


def _dated(sides: int) -> tuple[int, ...]:
    """The laws whose trails are kept: with two directions one each, so that the state stays small."""
    return DATED if sides == 1 else DATED[:1]


def _leads_up(sums: Sequence[float], sides: int) -> bool:
    return sides == 1 or math.fsum(sums[: len(LAWS)]) >= math.fsum(sums[len(LAWS) :])


def _reverse(size: float, scores: Sequence[float], bets: Sequence[float], temper: float) -> float:
    """Evidence of this round that a changed stream is back.

    Against a shift as large as was estimated, at most CLEAR; where only a tail moved, against all laws. Scores
    and not bets tell the first: where values are tied the bets on usual ones say hardly anything.
    """
    if size < MOVED:
        return min(-max(bets[: len(LAWS)]), LARGEST_REVERSE)
    shift = min(size, CLEAR)
    return min(temper * math.fsum(shift * shift / 2.0 - shift * score for score in scores), LARGEST_REVERSE)


def given(reference: Reference, residuals: Sequence[float], round: int, temper: float) -> tuple[float, ...]:
    """The residuals that a round gives to the reference: as many as it is worth; other cases' next time.

    Where rounds share a load, a reference filled by a hundred of them would lie a tenth of a deviation off for
    ever, and alarm or be deaf for it; so it takes fewer from each and spans more loads.
    """
    step = max(1, min(len(residuals), int(1.0 / temper + 0.5)))
    return tuple(residuals[round % step :: step])[: max(0, RESIDUALS_HELD - len(reference.residuals))]
