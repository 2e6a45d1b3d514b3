"""The visits of a round: which case was asked how often, what was known of it before, what waits for re-asks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from monitor.drift.detector import (
    RUNS_BEFORE_JUDGING,
    CaseReference,
    Observation,
    Reference,
    Role,
)
from monitor.drift.effect import size_of

#: A reply less likely than this is worth asking twice more.
UNLIKELY = 0.2

#: Bytes that waiting visits may take in the state; the least likely are kept.
PENDING_BYTES = 700

#: A case learns until it has 25 runs and the pool 500 rounds' worth of them; then its reference holds.
RUNS_HELD = 25
ROUNDS_LEARNT = 500

UNKNOWN = CaseReference()

_FIELDS = attrgetter("case", "value", "role", "slices")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """A visit that waits for its re-asks: one reply in its turn.

    Replies of a burst are not asked again; it told no change sooner (10.9 rounds against 11.2) and cost calls.

    Attributes:
        case: The case.
        passes: Of the case before the visit.
        runs: Of the case before the visit.
        first: The first reply, 0 or 1.
    """

    case: str
    passes: int
    runs: int
    first: int

    def dump(self) -> list[object]:
        """As plain JSON."""
        return [self.case, self.passes, self.runs, self.first]

    @classmethod
    def load(cls, dumped: Sequence[object]) -> "Pending":
        """From what `dump` gave."""
        case, passes, runs, first = dumped
        return cls(case=str(case), passes=passes, runs=runs, first=first)  # type: ignore[arg-type]  # JSON has no types


class Visit(NamedTuple):
    """One case's replies of one round, passes or failures, beside what was known of it before."""

    case: str
    known: CaseReference
    slices: tuple[str, ...]
    hits: float
    replies: int
    regular: int
    regular_hits: float


@dataclass(slots=True)
class Asked:
    """A round taken apart.

    Attributes:
        panel: Cases asked in their turn.
        cases: Cases asked in their turn or in a burst.
        visits: Cases judged, in the order of their keys.
        returned: Visits of the round before with their re-asks, each with what waited for them; `hits` and
            `replies` have the first reply in.
        learned: References that change if the stream may learn.
    """

    panel: int
    cases: int = 0
    visits: list[Visit] = field(default_factory=list)
    returned: list[tuple[Visit, Pending]] = field(default_factory=list)
    learned: dict[str, CaseReference] = field(default_factory=dict)


def taken_apart(
    reference: Reference, observations: Sequence[Observation], pending: Iterable[Pending]
) -> Asked:
    """The visits of a round of passes and failures.

    Re-asks come first: they belong to the round before, so a case that is asked again in its turn is judged by
    counts with them in. Re-asks that nothing waits for are left out; on their own they follow unlikely replies
    and would be no fair sample. Burst replies are evidence and never learnt.

    Args:
        reference: What is known of the cases.
        observations: In any order, values 0 or 1.
        pending: What waits for re-asks.
    """
    reask, in_turn = Role.REASK, Role.REGULAR
    turns = [one for one in observations if one.role is not reask]
    panel = len({one.case for one in turns if one.role is in_turn})
    asked, hold, cases = Asked(panel=panel), held_at(reference, panel), reference.cases
    learned = asked.learned
    if len(turns) < len(observations):
        asked.returned = _returned([one for one in observations if one.role is reask], pending)
        for visit, waited in asked.returned:
            known = cases.get(visit.case)
            if known is not None and known.runs < hold:
                learned[visit.case] = _grown(known, visit.replies - 1, visit.hits - waited.first)
    visits: dict[str, Visit] = {}
    for case, hit, role, slices in map(_FIELDS, turns):
        known = (learned and learned.get(case)) or cases.get(case) or UNKNOWN
        regular = 1 if role is in_turn else 0
        visit = Visit(case, known, slices, hit, 1, regular, hit if regular else 0.0)
        visits[case] = visit if case not in visits else _together(visits[case], visit)
    asked.cases = len(visits)
    for case in sorted(visits):
        visit = visits[case]
        runs = visit.known.runs
        if runs >= RUNS_BEFORE_JUDGING:
            asked.visits.append(visit)
        if runs < hold and visit.regular:
            learned[case] = _grown(visit.known, visit.regular, visit.regular_hits)
    return asked


def held_at(reference: Reference, panel: int) -> int:
    """N = max(25, ceil(500 K / M)): the runs at which a case's reference holds."""
    size = max(reference.prior.get("size", 1.0), 1.0)
    return max(RUNS_HELD, math.ceil(ROUNDS_LEARNT * panel / size))


def kept_pending(unlikely: Iterable[tuple[float, Pending]]) -> list[Pending]:
    """What waits for re-asks, the least likely first, in a bounded number of bytes."""
    kept: list[Pending] = []
    left = PENDING_BYTES
    for _, waiting in sorted(unlikely, key=lambda item: (item[0], item[1].case)):
        left -= size_of(waiting.case) + len(f"[, {waiting.passes}, {waiting.runs}, {waiting.first}], ")
        if left >= 0:
            kept.append(waiting)
    return kept


def _together(before: Visit, more: Visit) -> Visit:
    return before._replace(
        hits=before.hits + more.hits,
        replies=before.replies + more.replies,
        regular=before.regular + more.regular,
        regular_hits=before.regular_hits + more.regular_hits,
    )


def _returned(again: Iterable[Observation], pending: Iterable[Pending]) -> list[tuple[Visit, Pending]]:
    asked: dict[str, list[Observation]] = {}
    for one in again:
        asked.setdefault(one.case, []).append(one)
    found = []
    for waited in sorted([one for one in pending if one.case in asked], key=attrgetter("case")):
        replies = asked[waited.case]
        hits = waited.first + sum([one.value for one in replies])
        known = _counted(waited.runs, waited.passes)
        found.append((Visit(waited.case, known, replies[0].slices, hits, 1 + len(replies), 0, 0), waited))
    return found


def _grown(known: CaseReference, runs: int, hits: float) -> CaseReference:
    return _counted(known.runs + runs, known.total + hits)


@lru_cache(maxsize=4_096)
def _counted(runs: int, passes: float) -> CaseReference:
    """So many passes in so many runs; cases share these counts, and making one takes longer than finding it."""
    return CaseReference(runs=runs, total=float(passes), total_sq=float(passes))
