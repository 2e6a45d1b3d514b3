"""The engine for passes and failures: paired likelihood ratios on the grid prior, re-asks, and slices."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter

import numpy as np

from monitor.drift.detector import CaseReference, Reference
from monitor.drift.engine import Judged
from monitor.drift.grid import THETA, Array, fit_weights, moved, shift_to
from monitor.drift.laws import (
    ABILITY,
    CHURN,
    CHURNED,
    DESIGN_DROP,
    DESIGN_SHARE,
    DOUBLE,
    FAILURE,
    GAIN,
    GAIN_DOUBLE,
    GAIN_WEIGHTS,
    LOST,
    RARE,
    SLICE_SHIFTS,
    design_shifts,
    laws_of,
    mixture_weights,
)
from monitor.drift.lookup import BETS, First, Lookup, Row, lookup_of, with_repeats
from monitor.drift.mixture import Gained
from monitor.drift.visits import UNLIKELY, Asked, Pending, Visit, kept_pending

#: The weights' keys in a prior.
WEIGHT_KEYS = tuple(f"w{index:02d}" for index in range(len(THETA)))
_in_prior = itemgetter(*WEIGHT_KEYS, "down", "up")

#: The repeat rate is that of two repeats in twenty visits before anything is known, and never above .9.
GUESSED_REPEATS, GUESSED_VISITS, LARGEST_RATE = 2.0, 20.0, 0.9

#: Multiples of the design change that a changed stream is held against.
RUNGS = (1.0, 2.0, 4.0)

#: Components that every round speaks of: the gains, then the five; the slices' come after them.
_ALWAYS = CHURN

#: Where a row has l of its slices' alternatives.
_SLICES = BETS + _ALWAYS


def fit(cases: Mapping[str, CaseReference], start: Mapping[str, float] | None = None) -> dict[str, float]:
    """The pool's prior: its weights on the grid, its two design shifts, its size, and the runs it was fitted to.

    Args:
        cases: Every case of the pool; at least one has runs.
        start: The prior before, for a warm start.
    """
    counts = np.array([(case.total, case.runs) for case in cases.values() if case.runs], dtype=np.float64)
    pairs, times = np.unique(counts, axis=0, return_counts=True)
    warm = np.array([start[key] for key in WEIGHT_KEYS]) if start else None
    weights = fit_weights(pairs, times=times.astype(np.float64), start=warm)
    down, up = design_shifts(weights)
    return {
        **dict(zip(WEIGHT_KEYS, weights.tolist(), strict=True)),
        "down": float(down),
        "up": float(up),
        "size": float(len(counts)),
        "runs": float(counts[:, 1].sum()),
    }


@lru_cache(maxsize=64)
def weights(components: int) -> tuple[float, ...]:
    """Those of the mixture: the gains' add up to 1, and so do the others."""
    return (*GAIN_WEIGHTS, *mixture_weights(components - len(GAIN_WEIGHTS)).tolist())


def repeat_rate(same: float, expected: float) -> float:
    """The repeat rate rho = clip((sum(same - e) + 2) / (sum(1 - e) + 20), 0, .9).

    Args:
        same: Sum over visits with re-asks of (all replies equal, 0 or 1) less the probability e of that.
        expected: Sum of 1 - e.
    """
    return min(LARGEST_RATE, max(0.0, (same + GUESSED_REPEATS) / (expected + GUESSED_VISITS)))


def judge(reference: Reference, asked: Asked, repeats: tuple[float, float], slices: Sequence[str]) -> Judged:
    """One round's evidence.

    Args:
        reference: The stream's part of the baseline; its prior is that of `fit`.
        asked: The round.
        repeats: The sums behind the repeat rate.
        slices: The slices that have components.
    """
    prior = _fitted(reference)
    lookup, visits = lookup_of(prior), asked.visits
    first = lookup.first(
        [(known.total, known.runs, hits, replies) for _, known, _, hits, replies, _, _ in visits]
    )
    rows, judged = [one.row for one in first], visits
    if asked.returned:
        later, repeats = _later_rows(lookup, asked.returned, repeats)
        rows, judged = rows + later, visits + [visit for visit, _ in asked.returned]
    sums = [0.0] * (BETS + _ALWAYS)
    if rows:
        sums = list(map(sum, islice(zip(*rows, strict=True), BETS + _ALWAYS)))
    bets = sums[BETS:]
    seen = None
    if slices:
        of_slices, inside = _slice_bets(rows, judged, slices)
        bets += of_slices
        seen = [True] * _ALWAYS + inside
    return Judged(
        gained=Gained(
            bets=bets,
            seen=seen,
            counts=asked.panel > 0,
            replies=sum([visit.replies for visit in visits]),
            total=sums[0],
            total_sq=sums[1],
        ),
        keys=[visit.case for visit in visits],
        blamed=lambda leader: _blamed(visits, first, leader, slices),
        rungs=lambda leader: _rungs(prior, visits, first, leader, slices),
        repeats=repeats,
        pending=_unlikely(visits, first),
    )


def _fitted(reference: Reference) -> tuple[float, ...]:
    found: tuple[float, ...] = _in_prior(reference.prior)
    return found


def _later_rows(
    lookup: Lookup, returned: Sequence[tuple[Visit, Pending]], repeats: tuple[float, float]
) -> tuple[list[Row], tuple[float, float]]:
    """l(visit) - l(first) of visits with their re-asks, and the sums of the repeat rate after them."""
    found = lookup.later(
        [
            (visit.known.total, visit.known.runs, waited.first, visit.hits, visit.replies)
            for visit, waited in returned
        ]
    )
    rho = repeat_rate(*repeats)
    same = repeats[0] + sum([later.equal - later.if_equal for later in found])
    room = repeats[1] + sum([1.0 - later.if_equal for later in found])
    return [with_repeats(later, rho) for later in found], (round(same, 5), round(room, 5))


def _slice_bets(
    rows: Iterable[Row], visits: Iterable[Visit], slices: Sequence[str]
) -> tuple[list[float], list[bool]]:
    """The sums of l of the slices' components, and of which of them the round has cases."""
    sums = {name: [0.0, 0.0] for name in slices}
    met = set()
    for row, visit in zip(rows, visits, strict=True):
        for name in visit.slices:
            if name in sums:
                held = sums[name]
                held[0] += row[_SLICES]
                held[1] += row[_SLICES + 1]
                met.add(name)
    return (
        [bet for held in sums.values() for bet in held],
        [name in met for name in slices for _ in range(2)],
    )


def _unlikely(visits: Iterable[Visit], first: Iterable[First]) -> list[Pending]:
    found = [(one.likely, visit) for visit, one in zip(visits, first, strict=True) if one.likely < UNLIKELY]
    return kept_pending(
        [
            (
                likely,
                Pending(case=case, passes=int(known.total), runs=known.runs, first=int(hits)),
            )
            for likely, (case, known, _, hits, replies, regular, _) in found
            if replies == regular == 1
        ]
    )


def _blamed(
    visits: Sequence[Visit], first: Sequence[First], leader: int, slices: Sequence[str]
) -> list[tuple[str, float]]:
    """Each case's l in the leading component."""
    if leader < _ALWAYS:
        return [(visit.case, one.row[BETS + leader]) for visit, one in zip(visits, first, strict=True)]
    name, column = slices[(leader - _ALWAYS) // 2], _SLICES + (leader - _ALWAYS) % 2
    return [
        (visit.case, one.row[column])
        for visit, one in zip(visits, first, strict=True)
        if name in visit.slices
    ]


@lru_cache(maxsize=64)
def _ladder(prior: tuple[float, ...], leader: int) -> Array:
    """What a reply's probability of a pass becomes on each rung, on the grid; shape (41, 3)."""
    law, grid, mean = leader + 1, np.array(prior[: len(THETA)]), float(laws_of(prior).mean)
    if law in (GAIN, GAIN_DOUBLE, ABILITY, DOUBLE):
        sign, room = (1.0, 1.0 - mean) if law in (GAIN, GAIN_DOUBLE) else (-1.0, mean)
        steps = [min(rung * min(DESIGN_DROP, DESIGN_SHARE * room), 0.9 * room) for rung in RUNGS]
        columns = [moved(shift_to(grid, np.array(mean + sign * step))) for step in steps]
    elif law in (FAILURE, RARE):
        columns = [np.maximum((1.0 - LOST * rung) * THETA, THETA[0]) for rung in RUNGS]
    elif law == CHURN:
        columns = [(1.0 - CHURNED * rung) * THETA + CHURNED * rung * mean for rung in RUNGS]
    else:
        columns = [moved(-SLICE_SHIFTS[0] * rung) for rung in RUNGS]
    return np.stack(columns, axis=-1)


def _rungs(
    prior: tuple[float, ...],
    visits: Sequence[Visit],
    first: Sequence[First],
    leader: int,
    slices: Sequence[str],
) -> Sequence[float]:
    """What the round says for each of three sizes of a change that was told, against none, in nats."""
    name = None if leader < _ALWAYS else slices[(leader - _ALWAYS) // 2]
    found = np.array(
        [
            (visit.known.total, visit.known.runs, visit.hits, visit.replies, one.expected)
            for visit, one in zip(visits, first, strict=True)
            if name is None or name in visit.slices
        ],
        dtype=np.float64,
    ).reshape(-1, 5)
    after = laws_of(prior).under(found[:, :2], _ladder(prior, leader))
    hits, replies, p = found[:, 2:3], found[:, 3:4], found[:, 4:5]
    bets = hits * np.log(after / p) + (replies - hits) * np.log((1.0 - after) / (1.0 - p))
    return bets.sum(axis=0).tolist()  # type: ignore[no-any-return]  # numpy types it as Any
