"""Garbage collection in a process that lives for months on what it loaded in its first second."""

import gc

#: Young objects before a collection, and collections before one of the next age. Measured by `make bench` on
#: the probe path: 2.65 times the CPU of a bare loop with Python's own thresholds, 2.27 times with these.
_THRESHOLDS = (10_000, 20, 20)


def settle() -> None:
    """Moves all that a start-up or a reload made out of the collector's sight.

    Else every full collection walks some 130,000 objects that will never be garbage: 20 ms each time, felt
    as loop lag and so as error in what we measure.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
