"""One stream from round to round: watching, changed to the worse, gained, back again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.drift.aftermath import Aftermath
from monitor.drift.detector import CaseReference, Reference, Round, Step, Verdict, VerdictKind
from monitor.drift.engine import Judged
from monitor.drift.evidence import alarming
from monitor.drift.laws import CHURN as SLICES_FROM
from monitor.drift.mixture import GATHERED, REPLIES, SINCE, interval_of, moment, statistic
from monitor.drift.stream import Stream
from monitor.drift.visits import held_at

#: Evidence from which it is worth asking more cases sooner, in nats.
BURST_AT = 4.0

#: What the leading component must have gathered since its estimated start for an alarm, in nats. Sums grow by
#: one a round where nothing speaks for or against a change (a pool that never passes); that alone is no alarm.
LEAST_GATHERED = 2.0

#: Rounds until a stream's power is as planned; until then it says that it is learning, and gathers nothing for
#: gains. A small capture makes a reliable pool look worse than it is (20 cases that pass in 98 of 100 runs: 96.9 %
#: expected after five), and a gain that is told for it would stop the learning that mends it.
ROUNDS_TO_LEARN = 100

#: The pool is fitted again when its runs have grown by a fifth, and when all its references hold.
REFIT_GROWTH = 1.2

#: The standard deviation of one score when nothing is known; see `Trail.interval`.
_SPREAD = 0.5


@dataclass(kw_only=True, slots=True)
class Course:
    """A judged round, as the engine leaves it.

    Attributes:
        judged: What was found.
        learned: References that change if the stream may learn.
        cases: Cases asked in their turn or in a burst.
        panel: Cases asked in their turn.
        weights: Of all components; the gains' add up to 1, and so do the others.
        refits: Whether the pool's law learns.
        note: One sentence where the engine has something to say.
    """

    judged: Judged
    learned: Mapping[str, CaseReference]
    cases: int
    panel: int
    weights: Sequence[float]
    refits: bool = False
    note: str = ""


def carried_on(stream: Stream, reference: Reference, round: Round, course: Course, law: float) -> Step:
    """The step of a judged round.

    Args:
        stream: A working copy of the state; it is changed.
        reference: The stream's part of the baseline.
        round: What came in.
        course: What the engine made of it.
        law: The threshold of the law, in nats; that of changes to the worse has the round's correction besides.
    """
    threshold = law + round.correction
    judged = course.judged
    watching = stream.change is None
    told = bool(judged.keys) or judged.repeats != stream.repeats
    worse = _judge(stream, round, course, law) if told else _shares(stream, course)[1]
    learns = watching and stream.change is None
    learned = course.learned if learns else {}
    stream.runs = max(stream.runs, reference.prior["runs"]) + _added(reference, learned)
    stream.repeats = judged.repeats if watching else stream.repeats
    if course.panel or not learns:
        stream.pending = tuple(judged.pending) if learns else ()
    elif stream.pending:
        answered = {one.case for one in round.observations}
        stream.pending = tuple(one for one in stream.pending if one.case not in answered)
    return Step(
        state=stream.dump(),
        verdict=_verdict(stream, course, round, worse, threshold),
        learned=learned,
        residuals=judged.residuals if learns else (),
        log_bets=tuple(judged.gained.bets[stream.gains :]) if told else (),
        again=tuple([waiting.case for waiting in judged.pending]) if learns else (),
        burst=watching and worse > BURST_AT,
        refit=learns and course.refits and _refits(reference, stream.runs, course.panel),
    )


def _shares(stream: Stream, course: Course) -> tuple[list[float], float]:
    """Every component's w S, and the statistic of changes to the worse."""
    shares = stream.mixture.shares(course.weights)
    return shares, statistic(shares[stream.gains :])


def _judge(stream: Stream, round: Round, course: Course, law: float) -> float:
    """Rolls the sums, raises an alarm or ends one; the statistic as it was before a reset."""
    judged, gains = course.judged, stream.gains
    gained = judged.gained
    stream.judged += gained.counts
    stream.mixture = stream.mixture.rolled(round.at, gained)
    if stream.judged <= ROUNDS_TO_LEARN:
        stream.mixture = stream.mixture.without(slice(0, gains))
    change = stream.change
    if change is not None:
        stream.change = change = change.follow(round.at, gained, judged.rungs(change.leader))
        # What has been told gathers nothing more; the other way goes on against the same baseline.
        told = slice(0, gains) if change.up else slice(gains, None)
        stream.mixture = stream.mixture.without(told)
    shares, worse = _shares(stream, course)
    leader = shares.index(max(shares[gains:]), gains)
    if change is None:
        since = stream.mixture.rows[leader][SINCE]
        stream.blame(since, judged.blamed(leader) if since else ())
    elif not change.up:
        stream.blame(change.since, judged.blamed(change.leader))
    if change is not None and change.over:
        stream.change = None
        stream.blame(0.0, ())
        stream.clear()
    elif not stream.changed and _gathered(stream, leader) and alarming(worse, law + round.correction, round):
        _alarm(stream, course, leader, worse, up=False)
    elif change is None or not change.up:
        better, first = statistic(shares[:gains]), shares.index(max(shares[:gains]))
        if better >= law and _gathered(stream, first):
            _alarm(stream, course, first, better, up=True)
            stream.blame(0.0, ())
    return worse


def _gathered(stream: Stream, leader: int) -> bool:
    return stream.mixture.rows[leader][GATHERED] >= LEAST_GATHERED


def _alarm(stream: Stream, course: Course, leader: int, peak: float, *, up: bool) -> None:
    row, rungs = stream.mixture.rows[leader], course.judged.rungs(leader)
    stream.change = Aftermath.of(row, rungs, up=up, leader=leader, peak=peak)
    stream.clear()


def _added(reference: Reference, learned: Mapping[str, CaseReference]) -> int:
    """Runs that a round taught."""
    cases, found = reference.cases, 0
    for case, known in learned.items():
        before = cases.get(case)
        found += known.runs - (before.runs if before else 0)
    return found


def _refits(reference: Reference, runs: float, panel: int) -> bool:
    """Whether the mean number of runs has grown by a fifth since the fit, or all references hold now."""
    fitted = reference.prior["runs"]
    holds = reference.prior["size"] * held_at(reference, panel)
    return runs >= REFIT_GROWTH * fitted or (panel > 0 and fitted < holds <= runs)


def _verdict(stream: Stream, course: Course, round: Round, worse: float, threshold: float) -> Verdict:
    change, note = stream.change, _note(stream, course)
    if change is None and not course.judged.keys and (round.observations or not stream.judged):
        return Verdict(kind=VerdictKind.LEARNING, evidence=worse, threshold=threshold, note=note)
    if change is None and worse < threshold / 2.0:
        return Verdict(kind=VerdictKind.STEADY, evidence=worse, threshold=threshold, note=note)
    if change is not None:
        interval, replies, since = change.interval(_SPREAD), change.replies, moment(change.since)
    else:
        shares = _shares(stream, course)[0][stream.gains :]
        row = stream.mixture.rows[stream.gains + shares.index(max(shares))]
        interval, replies, since = interval_of(row, _SPREAD), int(row[REPLIES]), moment(row[SINCE])
    up = change is not None and change.up
    return Verdict(
        kind=VerdictKind.SUSPECT if change is None else VerdictKind.CHANGED,
        evidence=worse if change is None or up else change.peak,
        threshold=threshold,
        direction="up" if up else "down",
        effect=_inside(interval.mean),
        low=_inside(interval.low),
        high=_inside(interval.high),
        n=replies,
        since=since,
        cases=tuple(stream.cases)[:5],
        note=note,
    )


def _note(stream: Stream, course: Course) -> str:
    """The one sentence that matters most."""
    change, new = stream.change, course.cases - len(set(course.judged.keys))
    if change is not None and (said := change.note()):
        return said
    if stream.changed and change is not None and stream.slices and change.leader >= SLICES_FROM:
        return f"most of it in {stream.slices[(change.leader - SLICES_FROM) // 2]!r}"
    if course.note:
        return course.note
    if new:
        return f"{new} of {course.cases} cases are new and not judged yet"
    if change is None and 0 < stream.judged < ROUNDS_TO_LEARN:
        return f"learning: round {stream.judged} of {ROUNDS_TO_LEARN} until it sees what the plan says"
    return ""


def _inside(value: float) -> float:
    return min(1.0, max(-1.0, value))
