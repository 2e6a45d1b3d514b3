"""One budget per time over everything: how the streams of an endpoint share it, and alarm together.

Endpoint e may alarm falsely once in T_e days. Its stream j makes r_j rounds a day, keeps the Shiryaev-Roberts
mixture S_j, and the endpoint alarms when A = sum s_j S_j / (r_j T_e) >= .58. While nothing has changed E S_j is
at most the number of rounds, so that E A(t) <= t / T_e however the streams depend on each other (at A >= 1 the
bound is exact; .58 = e^-.55 is the overshoot, calibrated). Streams that move together thus cost nothing and
add up. A stream tells its part of A / .58 as exp(evidence - threshold), its threshold being that of the run
length r_j T_e / s_j.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monitor.drift.budget import positive
from monitor.drift.detector import Verdict, VerdictKind
from monitor.drift.evidence import SHORTEST_RUN

#: No stream gets less than this share of an equal share.
LEAST_OF_EQUAL = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """What a stream's share depends on.

    Attributes:
        endpoint: Whose stream it is.
        rounds_per_day: Its cadence.
        information: Of one round, about the change that it is designed for, in nats.
        weight: What the user makes of it; 2 counts its delay twice.
    """

    endpoint: str
    rounds_per_day: float
    information: float
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What a stream may spend.

    Attributes:
        share: Of its endpoint's budget, 0..1.
        run_length: Its rounds between false alarms if it were alone.
        moved: The least part of an alarm with which it counts as moved; see `Round.moved`.
    """

    share: float
    run_length: float
    moved: float


def days_between(endpoints: int, at_most: float, per_days: float) -> float:
    """T_e: days between the false alarms of one of so many endpoints.

    Args:
        endpoints: How many share the budget.
        at_most: False incidents allowed, over all of them.
        per_days: The span that `at_most` is for, in days.
    """
    positive("at_most", at_most)
    positive("per_days", per_days)
    return per_days * endpoints / at_most


def allowances(streams: Mapping[str, Stream], at_most: float, per_days: float) -> dict[str, Allowance]:
    """What each stream may spend of a budget of false incidents.

    Args:
        streams: Name -> stream.
        at_most: False incidents allowed, over all streams.
        per_days: The span that `at_most` is for, in days.

    Returns:
        Name -> allowance. A run length is never under `SHORTEST_RUN`, where a budget that is too generous ends.

    Raises:
        ValueError: A number is not positive and finite; names the stream.
    """
    members: dict[str, dict[str, Stream]] = {}
    for name, stream in streams.items():
        positive(f"the rounds a day of stream {name!r}", stream.rounds_per_day)
        positive(f"the information of stream {name!r}", stream.information)
        positive(f"the weight of stream {name!r}", stream.weight)
        members.setdefault(stream.endpoint, {})[name] = stream
    days = days_between(len(members), at_most, per_days)
    found = {}
    for own in members.values():
        for name, share in shares(own).items():
            found[name] = Allowance(
                share=share,
                run_length=max(SHORTEST_RUN, own[name].rounds_per_day * days / share),
                moved=share / len(own),
            )
    return {name: found[name] for name in streams}


def shares(streams: Mapping[str, Stream]) -> dict[str, float]:
    """How the streams of one endpoint divide its budget; the shares add up to 1.

    A stream tells its change about ln(r T / s) / I rounds after it, that is ln(1 / s) / (r I) days plus what
    its share does not touch. The sum of these is least where s is proportional to 1 / (r I): to the hours
    that a round takes over the information that it brings. Slow streams get more, none less than a quarter of
    an equal share.
    """
    wanted = {
        name: stream.weight / (stream.rounds_per_day * stream.information) for name, stream in streams.items()
    }
    least = LEAST_OF_EQUAL / len(streams) if streams else 0.0
    lifted: set[str] = set()
    while True:
        free = {name: amount for name, amount in wanted.items() if name not in lifted}
        left, whole = 1.0 - least * len(lifted), math.fsum(free.values())
        found = {name: least if name in lifted else left * wanted[name] / whole for name in streams}
        under = {name for name in free if found[name] < least}
        if not under:
            return found
        lifted |= under


def part(verdict: Verdict) -> float:
    """A stream's part of an alarm, 0..1. One that is changed already has given its own and starts from 0."""
    if verdict.kind not in (VerdictKind.STEADY, VerdictKind.SUSPECT) or math.isinf(verdict.threshold):
        return 0.0
    return math.exp(min(0.0, verdict.evidence - verdict.threshold))


def pooled(others: Iterable[Verdict]) -> float:
    """What the endpoint's other streams hold of an alarm, for `Round.pooled`; their last verdicts."""
    return math.fsum(part(verdict) for verdict in others)


def rise(before: Mapping[str, Allowance], after: Mapping[str, Allowance]) -> float:
    """By how many nats thresholds rose on average, over the streams that were there before."""
    both = [name for name in before if name in after]
    if not both:
        return 0.0
    return math.fsum(math.log(after[name].run_length / before[name].run_length) for name in both) / len(both)
