"""Trials: streams recorded in control and after changes, in two processes."""

import multiprocessing
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench.detection import arl
from bench.detection.arl import Measured, Path, Recorder
from bench.detection.runner import Stream
from bench.detection.worlds import Change

#: A stream is not watched further than this after a change, in rounds and in nats.
AT_MOST, ENOUGH = 500, 13.0

#: Streams that a process takes at a time.
BATCH = 10


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is simulated; everything in it can be sent to another process.

    Attributes:
        make: A stream from its chance, its capture done.
        rounds: Rounds in control that a stream is recorded for.
        changes: Name -> change, each on a copy of the stream after `quiet` rounds.
        quiet: Rounds before the changes.
        run_length: The stated run length whose own threshold is noted.
    """

    make: Callable[[random.Random], Stream]
    rounds: int
    changes: Mapping[str, Change] = field(default_factory=dict)
    quiet: int = 200
    run_length: float = 2000.0


@dataclass(frozen=True, kw_only=True)
class Changed:
    """One stream after one change: its evidence and the replies asked for, up to each new maximum of it."""

    path: Path
    replies: Sequence[int]

    def spent(self, height: float) -> int:
        """Replies from the change to the alarm; all of them where there was none."""
        at = self.path.passes(height)
        return self.replies[self.path.times.index(at)] if at is not None else self.replies[-1]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One stream of a trial.

    Attributes:
        control: Its evidence in control; None where it was recorded up to the changes only.
        quiet: Its evidence before the changes.
        replies: Replies a round in control.
        law: The product's own threshold by the law, in nats.
        changed: Change -> what came after it.
    """

    control: Path | None
    quiet: Path
    replies: float
    law: float
    changed: Mapping[str, Changed]


def record(trial: Trial, seed: int, *, control: bool = True) -> Record:
    """Simulates one stream."""
    stream = trial.make(random.Random(seed))
    law = stream.threshold(trial.run_length)
    evidence = Recorder()
    replies = 0
    quiet = min(trial.quiet, trial.rounds)
    for _ in range(quiet):
        evidence.add(stream.evidence())
        replies += stream.replies
    before = evidence.path()
    changed = {name: _after(stream, change) for name, change in trial.changes.items()}
    if control:
        for _ in range(trial.rounds - quiet):
            evidence.add(stream.evidence())
            replies += stream.replies
    return Record(
        control=evidence.path() if control else None,
        quiet=before,
        replies=replies / evidence.rounds,
        law=law,
        changed=changed,
    )


def _after(stream: Stream, change: Change) -> Changed:
    twin, evidence, replies = stream.fork(change), Recorder(-1.0), 0
    asked: list[int] = []
    for _ in range(AT_MOST):
        reached = twin.evidence()
        replies += twin.replies
        evidence.add(reached)
        while len(asked) < len(evidence.times):
            asked.append(replies)
        if reached >= ENOUGH:
            break
    return Changed(path=evidence.path(), replies=(*asked, replies))


@dataclass(frozen=True, kw_only=True)
class Trials:
    """All streams of a trial, and what they say."""

    records: Sequence[Record]

    @property
    def control(self) -> list[Path]:
        """The paths in control."""
        return [one.control for one in self.records if one.control is not None]

    def height(self, target: float) -> float:
        """The threshold with this average run length, in nats."""
        return arl.height_for(self.control, target)

    def ratio(self, stated: float, correction: float = 0.0) -> Measured:
        """Realised over stated run length with the product's own threshold, plus `correction` nats."""
        laws = {one.law for one in self.records}
        height = sum(laws) / len(laws) + correction
        found = arl.run_length(self.control, height)
        return Measured(value=found.value / stated, error=found.error / stated, n=found.n)

    def delay(self, change: str, height: float) -> Measured:
        """Mean rounds from the change to the alarm."""
        return self._delay(change, height)[0]

    def missed(self, change: str, height: float) -> float:
        """Share of the streams without an alarm within `AT_MOST` rounds."""
        return self._delay(change, height)[1]

    def _delay(self, change: str, height: float) -> tuple[Measured, float]:
        alarms = arl.run_length(self.control, height).n
        after = [one.changed[change].path for one in self.records]
        return arl.delay(after, [one.quiet for one in self.records], height, alarms=alarms)

    def spent(self, change: str, height: float) -> Measured:
        """Mean replies from the change to the alarm."""
        found = [
            one.changed[change].spent(height) for one in self.records if one.quiet.passes(height) is None
        ]
        rounds = self.delay(change, height)
        mean = sum(found) / len(found)
        return Measured(value=mean, error=mean * rounds.error / rounds.value, n=len(found))

    @property
    def replies(self) -> Measured:
        """Replies a round in control."""
        each = [one.replies for one in self.records]
        mean = sum(each) / len(each)
        variance = sum((value - mean) ** 2 for value in each) / max(len(each) - 1, 1)
        return Measured(value=mean, error=(variance / len(each)) ** 0.5, n=len(each))


class Workers:
    """Two processes, or this one alone."""

    def __init__(self, processes: int) -> None:
        self._pool = (
            multiprocessing.get_context("spawn").Pool(processes, initializer=_polite)
            if processes > 1
            else None
        )

    def map(self, what: Callable[[Any], Any], over: Iterable[Any], batch: int = 1) -> list[Any]:
        """The results in order; the same whatever the number of processes."""
        return self._pool.map(what, over, batch) if self._pool else [what(one) for one in over]

    def trials(self, trial: Trial, seed: int, streams: int, control: int | None = None) -> Trials:
        """Records so many streams, the first `control` of them (or all) in control to the end."""
        at_length = streams if control is None else min(control, streams)
        long = self.map(partial(record, trial), range(seed, seed + at_length), BATCH // 5)
        short = self.map(
            partial(record, trial, control=False), range(seed + at_length, seed + streams), BATCH
        )
        return Trials(records=(*long, *short))

    def close(self) -> None:
        """Ends the processes."""
        if self._pool:
            self._pool.terminate()
            self._pool.join()


def _polite() -> None:
    os.nice(5)
