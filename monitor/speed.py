"""How fast and how dear endpoints are: distributions over single requests.

Pure: columns in, numbers out. numpy and scipy come in where they are used, for nothing else needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.distribution import Distribution, Estimate, distribution
from monitor.measures import TRUSTED_LAG
from monitor.stat import wilson
from probes.outcome import OURS, Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Indexes = NDArray[np.int64]

#: What an attempt's outcome counts as.
ANSWERED, FAILED, NOT_ASKED = 0, 1, 2

#: (endpoint, probe or round, case).
Key = tuple[str, str, str]


def counted_as(outcome: str) -> int:
    """ANSWERED, FAILED (also where it said "slow down" or refused us), or NOT_ASKED where the reason was ours."""
    if outcome == Outcome.OK:
        return ANSWERED
    return NOT_ASKED if outcome in OURS else FAILED


@dataclass(frozen=True, kw_only=True, slots=True)
class Requests:
    """Requests as columns, each of length n; NaN where a value is not known.

    Attributes:
        keys: The distinct keys.
        key: Index into `keys`.
        ended: ANSWERED, FAILED or NOT_ASKED.
        elapsed: Seconds of the whole request.
        lag: Seconds by which our own event loop was late meanwhile.
        first_token: Seconds to the first token.
        between_tokens: Seconds between two pieces of a stream.
        output_tokens: All output.
        reasoning_tokens: The part of it that was reasoning.
        cost: Dollars.
        reused: 1 where the connection was a kept one.
    """

    keys: Sequence[Key]
    key: Indexes
    ended: Indexes
    elapsed: Floats
    lag: Floats
    first_token: Floats
    between_tokens: Floats
    output_tokens: Floats
    reasoning_tokens: Floats
    cost: Floats
    reused: Floats

    def only(self, chosen: Flags) -> Requests:
        """The requests that are chosen."""
        columns = {name: getattr(self, name)[chosen] for name in self.__slots__ if name != "keys"}
        return Requests(keys=self.keys, **columns)


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """One group of requests.

    Attributes:
        endpoint: Whom they asked.
        group: The probe, tag or round; empty for all of the endpoint's, or where a case has no tag.
        requests: All of them; the sum of the next three.
        answered: Those with a whole reply. Only they are in the distributions.
        failed: Those that failed, or were refused.
        not_asked: Those that we gave up or never sent.
        reused: Share of the answered ones that found a kept connection.
        spent_usd: Dollars, as far as they are known; None where none are.
        unpriced: Answered requests whose cost is not known.
        measures: Name of a measure in `MEASURED` -> its distribution; None where it was never seen.
    """

    endpoint: str
    group: str
    requests: int
    answered: int
    failed: int
    not_asked: int
    reused: Estimate | None
    spent_usd: float | None
    unpriced: int
    measures: dict[str, Distribution | None]


def speeds(found: Requests, groups: Callable[[Key], Sequence[str]]) -> list[Speed]:
    """One `Speed` for each (endpoint, group), sorted; a request may be in several groups, or in none.

    Args:
        found: The requests.
        groups: The names of the groups of a key.
    """
    import numpy as np

    members: dict[tuple[str, str], list[int]] = {}
    for index, key in enumerate(found.keys):
        for group in groups(key):
            members.setdefault((key[0], group), []).append(index)
    made = []
    for (endpoint, group), indexes in sorted(members.items()):
        belongs = np.zeros(len(found.keys), dtype=bool)
        belongs[indexes] = True
        made.append(_speed(endpoint, group, found.only(belongs[found.key])))
    return made


def _speed(endpoint: str, group: str, found: Requests) -> Speed:
    import numpy as np

    answered = found.only(found.ended == ANSWERED)
    known = np.isfinite(found.cost)
    n = len(answered.key)
    return Speed(
        endpoint=endpoint,
        group=group,
        requests=len(found.key),
        answered=n,
        failed=int((found.ended == FAILED).sum()),
        not_asked=int((found.ended == NOT_ASKED).sum()),
        reused=_share(int(answered.reused.sum()), n),
        spent_usd=float(found.cost[known].sum()) if known.any() else None,
        unpriced=n - int(np.isfinite(answered.cost).sum()),
        measures={name: _measured(values, answered) for name, (_, values) in MEASURED.items()},
    )


def _share(count: int, n: int) -> Estimate | None:
    if n == 0:
        return None
    low, high = wilson(count / n, n)
    return Estimate(value=count / n, low=low, high=high)


def _measured(
    values: Callable[[Requests], tuple[Floats, Floats | None]], answered: Requests
) -> Distribution | None:
    """`values` gives a column, and the seconds in which our own lateness would show (None: in none)."""
    import numpy as np

    column, seconds = values(answered)
    known = np.isfinite(column)
    trusted = known if seconds is None else known & (answered.lag <= TRUSTED_LAG * seconds)
    return distribution(column[trusted], distrusted=int((known & ~trusted).sum()))


def _seconds(name: str) -> Callable[[Requests], tuple[Floats, Floats | None]]:
    def values(found: Requests) -> tuple[Floats, Floats | None]:
        import numpy as np

        column: Floats = getattr(found, name)
        return np.where(column > 0, column, np.nan), column

    return values


def _tokens_per_second(found: Requests) -> tuple[Floats, Floats | None]:
    """Of a stream the tokens after the first one, reasoning left out, over the time after the first one.

    A stream that came in one piece has no such time. Without a stream it is all output over the whole time.
    """
    import numpy as np

    streamed = np.isfinite(found.first_token)
    seen = found.output_tokens - np.nan_to_num(found.reasoning_tokens) - 1
    tokens = np.where(streamed, seen, found.output_tokens)
    seconds = np.where(streamed, found.elapsed - found.first_token, found.elapsed)
    known = (tokens > 0) & (seconds > 0) & (~streamed | np.isfinite(found.between_tokens))
    return np.divide(tokens, seconds, out=np.full(len(tokens), np.nan), where=known), seconds


def _cost(found: Requests) -> tuple[Floats, Floats | None]:
    return found.cost, None


#: What is measured of every request: name -> (unit, its values).
MEASURED: dict[str, tuple[str, Callable[[Requests], tuple[Floats, Floats | None]]]] = {
    "latency": ("seconds", _seconds("elapsed")),
    "time_to_first_token": ("seconds", _seconds("first_token")),
    "time_per_output_token": ("seconds", _seconds("between_tokens")),
    "tokens_per_second": ("tokens a second", _tokens_per_second),
    "cost": ("dollars", _cost),
}
