"""What an engine finds in a round, for passes as for graded scores."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from monitor.drift.mixture import Gained
from monitor.drift.visits import Pending


@dataclass(kw_only=True, slots=True)
class Judged:
    """What an engine finds in a round.

    Attributes:
        gained: What the round brings to the mixture: gains first, then changes to the worse.
        keys: The cases judged.
        blamed: Each case's l in a component.
        rungs: The round's evidence for three sizes of a component's change, in nats.
        repeats: The sums behind the repeat rate, after this round.
        pending: What is worth asking again.
        residuals: Residuals to append where ranks are bet on.
    """

    gained: Gained
    keys: Sequence[str]
    blamed: Callable[[int], Iterable[tuple[str, float]]]
    rungs: Callable[[int], Sequence[float]]
    repeats: tuple[float, float] = (0.0, 0.0)
    pending: Sequence[Pending] = ()
    residuals: tuple[float, ...] = ()
