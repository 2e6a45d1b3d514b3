"""What one stream costs a round: CPU time of `update` alone, 20 cases, on the machine at hand."""

import random
import time
from collections.abc import Iterator
from functools import partial

from bench.detection import grades, pools, scores, times
from bench.detection.arl import Measured
from bench.detection.effort import Effort
from bench.detection.line import Line, at_most
from bench.detection.runner import Stream
from bench.detection.trial import Workers

#: Rounds that a stream has lived before it is timed, and rounds timed.
WARM, TIMED = 100, 1000


def rows(workers: Workers, effort: Effort, seed: int) -> Iterator[Line]:
    """One line a kind of stream."""
    made = {
        "score": scores.stream(random.Random(seed), partial(pools.main)),
        "latency": times.stream(random.Random(seed)),
        "graded score": grades.stream(random.Random(seed)),
    }
    for what, stream in made.items():
        yield Line(
            case=f"cost of a round of 20: {what}",
            ours=_microseconds(stream),
            unit="us",
            seed=seed,
            note="CPU of this machine, now; no part of the exit code",
            bars=at_most(60, 30),
        )


def _microseconds(stream: Stream) -> Measured:
    detector, spent = stream.detector, []

    class Timed:
        """Times `update` and is the detector otherwise."""

        def __getattr__(self, name: str) -> object:
            return getattr(detector, name)

        def update(self, *given: object) -> object:
            began = time.thread_time()
            step = detector.update(*given)  # type: ignore[arg-type]
            spent.append((time.thread_time() - began) * 1e6)
            return step

    for _ in range(WARM):
        stream.step(2000.0)
    stream.detector = Timed()  # type: ignore[assignment]
    for _ in range(TIMED):
        stream.step(2000.0)
    middle = sorted(spent)[len(spent) // 2]
    quarters = sorted(spent)[len(spent) // 4], sorted(spent)[3 * len(spent) // 4]
    return Measured(value=middle, error=(quarters[1] - quarters[0]) / 1.35 / len(spent) ** 0.5, n=len(spent))
