"""One round on one stream, without a database: rows in, a step out. Replays use the same functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitor.drift.detector import Observation, Role, Round
from monitor.grid import slot_rng
from monitor.measures import Measure
from probes import ENDPOINT_FAILURES, NETWORK_FAILURES, OURS, Outcome

#: What a stream that only is watched is tuned to; it never alarms, so no budget is spent on it.
WATCHED_RUN_LENGTH = 10_000.0

#: Units of what a second asking measures as well as the first.
_TIMELESS = ("score", "failures")

#: Ends of attempts for which no request left.
NEVER_SENT = frozenset({Outcome.DRAINED, Outcome.NO_BUDGET, Outcome.STORE_BUSY})


def counts(rows: Iterable[Any]) -> dict[str, int]:
    """Outcome -> how many attempts ended so."""
    found: dict[str, int] = {}
    for row in rows:
        found[row.outcome] = found.get(row.outcome, 0) + 1
    return found


def round_outcome(found: Mapping[str, int], planned: int, uplink_up: bool) -> str:
    """How a round ended: complete, partial, no_budget or no_uplink.

    A failing endpoint makes a complete round: we learnt what we came for. Partial means that some of the
    question was not asked, or was answered with "slow down".
    """
    network = sum(found.get(outcome, 0) for outcome in NETWORK_FAILURES)
    if network and network == sum(found.values()) and not uplink_up:
        return "no_uplink"
    if found.get(Outcome.NO_BUDGET, 0) and not found.get(Outcome.OK, 0):
        return "no_budget"
    unasked = sum(found.get(outcome, 0) for outcome in OURS | {Outcome.RATE_LIMITED})
    lost = network if not uplink_up else 0
    return "complete" if sum(found.values()) == planned and not unasked and not lost else "partial"


def held_against(found: Mapping[str, int], uplink_up: bool) -> dict[str, int]:
    """The attempts that say something about the endpoint: its replies, and the failures that are its own."""
    theirs = {Outcome.OK} | ENDPOINT_FAILURES | (NETWORK_FAILURES if uplink_up else frozenset())
    return {outcome: n for outcome, n in found.items() if outcome in theirs}


def first_words(rows: Iterable[Any], uplink_up: bool) -> str:
    """What the first failed attempt said, of those that are held against the endpoint; empty where none failed."""
    failed = ENDPOINT_FAILURES | (NETWORK_FAILURES if uplink_up else frozenset())
    return next((str(row.detail) for row in rows if row.outcome in failed and row.detail), "")


def roles(panel: Iterable[Mapping[str, Any]]) -> dict[int, Role]:
    """Place in the panel -> why it was asked, for those that were not just in their turn."""
    return {pick["seq"]: Role(pick["role"]) for pick in panel if "role" in pick}


def observations(
    measure: Measure,
    rows: Sequence[Any],
    *,
    uplink_up: bool,
    keys: Mapping[str, Any],
    roles: Mapping[int, Role] | None = None,
) -> list[Observation]:
    """The values of one measure; cases that left the pool meanwhile are skipped.

    Args:
        measure: What is measured.
        rows: Stored attempts of one round.
        uplink_up: Whether failures of the network count.
        keys: The cases of the pool.
        roles: Place in the panel -> why it was asked. What was asked out of its turn speaks of scores and
            failures only: an endpoint may answer from a cache what it was asked a moment ago.
    """
    values = []
    for row in rows:
        if row.case_key not in keys or (not uplink_up and row.outcome in NETWORK_FAILURES):
            continue
        role = roles.get(row.seq, Role.REGULAR) if roles else Role.REGULAR
        value = measure.of(row) if role is Role.REGULAR or measure.unit in _TIMELESS else None
        if value is not None:
            case = keys[row.case_key]
            values.append(
                Observation(case=row.case_key, value=value, role=role, slices=getattr(case, "tags", ()))
            )
    return values


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What a detector is given besides the replies: see `Round`. It is kept, so that a replay gives the same."""

    run_length: float = WATCHED_RUN_LENGTH
    correction: float = 0.0
    pooled: float = 0.0
    moved: float = 1.0


def as_round(endpoint: str, probe: str, slot: datetime, seen: Sequence[Observation], given: Given) -> Round:
    """One round of a stream; its randomness follows from the slot, so that a replay draws the same."""
    return Round(
        at=slot,
        observations=seen,
        run_length=given.run_length,
        rng=slot_rng(endpoint, probe, slot),
        correction=given.correction,
        pooled=given.pooled,
        moved=given.moved,
    )
