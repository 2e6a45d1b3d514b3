"""The engine for scores strictly inside 0..1: bets on their mean, or on their ranks where replies hardly vary."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from monitor.drift.bets import LAWS, ascending, cell_of, log_bets
from monitor.drift.detector import (
    RUNS_BEFORE_JUDGING,
    CaseReference,
    Observation,
    Reference,
    Role,
)
from monitor.drift.engine import Judged
from monitor.drift.evidence import mixture_threshold, nats
from monitor.drift.grid import Array
from monitor.drift.laws import DESIGN_DROP, DESIGN_SHARE
from monitor.drift.levels import Levels, fit_levels, known_of
from monitor.drift.mixture import Gained
from monitor.drift.replay import RESIDUALS_HELD
from monitor.drift.visits import held_at

#: Shares of what can be lost that are staked: 1 + lambda_i (mu_i - x), lambda_i = min(20, c / (1 - mu_i)).
STAKES = (0.1, 0.25, 0.5, 0.9)
LARGEST_STAKE = 20.0

#: Half of the mixture is the stake that grows fastest for the design change d at the capture's variance s2,
#: d / (s2 + d^2) and never more than .9 of what can be lost (Kelly). Without it 5 points took 8.0 rounds
#: in place of 7.3, simulated at 2,000 rounds with replies that vary by .15.
WEIGHTS = (0.125, 0.125, 0.125, 0.125, 0.5)

#: By how much these bets overshoot their threshold, in nats; small steps, hence little. Simulated, realised over
#: stated run length at 500 rounds is .9 to 1.2, and .6 to .8 at the overshoot of passes and failures.
OVERSHOOT = 0.3

#: Replies that vary by less than this around their case's mean are judged by their ranks.
HARDLY = 0.1

#: Runs until which a case learns, at the least.
RUNS_LEARNT = 90

#: Ranks among fewer residuals than this are too coarse to bet on.
RESIDUALS_NEEDED = 40

#: Multiples of the design change that a changed stream is held against, and the least variance for that.
RUNGS = (1.0, 2.0, 4.0)
_LEAST_VARIANCE = 0.0025


def fit(runs: Mapping[str, Sequence[float]]) -> Reference:
    """The pool's spread, each case's runs, and the capture's residuals where ranks are bet on.

    Levels that ranks are compared with are made of all captured runs but the last and hold; see `RankBets`.

    Args:
        runs: Case -> its captured scores; at least one case has one.
    """
    ordered = {case: list(runs[case]) for case in sorted(runs) if runs[case]}
    levels = fit_levels(ordered)
    prior = {
        **levels.dump(),
        "size": float(len(ordered)),
        "runs": float(sum(len(values) for values in ordered.values())),
    }
    if not by_rank(prior):
        return Reference(prior=prior, cases={case: known_of(values) for case, values in ordered.items()})
    residuals = [
        levels.residual(value, known_of([*values[:n], *values[n + 1 :]]))
        for values in ordered.values()
        if len(values) >= RUNS_BEFORE_JUDGING
        for n, value in enumerate(values)
    ]
    held = {
        case: known_of(values[:-1] if len(values) >= RUNS_BEFORE_JUDGING else values)
        for case, values in ordered.items()
    }
    every = math.ceil(len(residuals) / RESIDUALS_HELD) or 1
    return Reference(prior=prior, cases=held, residuals=tuple(residuals[::every]))


def is_graded(reference: Reference) -> bool:
    """Whether the baseline is one of graded scores."""
    return "within" in reference.prior


def by_rank(prior: Mapping[str, float]) -> bool:
    """Whether replies vary so little that their ranks are bet on."""
    return prior["within"] < HARDLY * HARDLY


def weights(prior: Mapping[str, float]) -> tuple[float, ...]:
    """Of the components, the gains' first; changes to the worse have as many."""
    half = (1.0 / len(LAWS),) * len(LAWS) if by_rank(prior) else WEIGHTS
    return half + half


def law(prior: Mapping[str, float], run_length: float) -> float:
    """The threshold for this run length, in nats.

    Raises:
        ValueError: The run length is too short; see `nats`.
    """
    return mixture_threshold(run_length) if by_rank(prior) else nats(run_length) - OVERSHOOT


def judge(reference: Reference, asked: Sequence[Observation], repeats: tuple[float, float]) -> Judged:
    """One round's evidence.

    Args:
        reference: The stream's part of the baseline; that of `fit`, and what it learnt.
        asked: The round without re-asks, in a fixed order.
        repeats: Handed on: a graded reply is never asked again.
    """
    prior, levels = reference.prior, Levels.load(reference.prior)
    ready = [(one, reference.cases[one.case]) for one in asked if _ready(reference, one.case)]
    score = np.array([one.value for one, _ in ready], dtype=np.float64)
    mean = np.array([levels.next(known)[0] for _, known in ready], dtype=np.float64)
    bets, fresh = _rank_bets(reference, ready) if by_rank(prior) else (_mean_bets(prior, mean, score), ())
    difference = score - mean
    return Judged(
        gained=Gained(
            bets=bets.sum(axis=0).tolist(),
            seen=None,
            counts=any(one.role is Role.REGULAR for one in asked),
            replies=len(ready),
            total=float(difference.sum()),
            total_sq=float((difference**2).sum()),
        ),
        keys=[one.case for one, _ in ready],
        blamed=lambda leader: [
            (one.case, bet) for (one, _), bet in zip(ready, bets[:, leader].tolist(), strict=True)
        ],
        rungs=lambda leader: _rungs(prior, difference, up=leader < bets.shape[1] // 2),
        repeats=repeats,
        residuals=fresh,
    )


def learned(reference: Reference, asked: Sequence[Observation]) -> dict[str, CaseReference]:
    """The references with the replies of this round, each until it holds."""
    regular = [one for one in asked if one.role is Role.REGULAR]
    hold = max(RUNS_LEARNT, held_at(reference, len({one.case for one in regular})))
    if by_rank(reference.prior):
        hold = RUNS_BEFORE_JUDGING - 1
    grown: dict[str, CaseReference] = {}
    for one in regular:
        known = grown.get(one.case) or reference.cases.get(one.case) or CaseReference()
        if known.runs < hold:
            grown[one.case] = known.add(one.value)
    return grown


def _rungs(prior: Mapping[str, float], difference: Array, *, up: bool) -> Sequence[float]:
    """What the round says for each of three sizes of a change that was told, against none, in nats.

    The normal likelihood of a shift of the mean by 1, 2 and 4 design drops, at the variance of replies.
    """
    lost = 1.0 - prior["mean"] if up else prior["mean"]
    each = min(DESIGN_DROP, DESIGN_SHARE * lost)
    shift = np.minimum(np.array(RUNGS) * each, 0.9 * lost) * (1.0 if up else -1.0)
    variance = max(prior["within"], _LEAST_VARIANCE)
    found = (difference[:, None] * shift - shift**2 / 2.0) / variance
    return found.sum(axis=0).tolist()  # type: ignore[no-any-return]  # numpy types it as Any


def _ready(reference: Reference, case: str) -> bool:
    """Whether a case is judged: from its third run on, of which the level of ranks leaves one out."""
    known = reference.cases.get(case)
    ranked = by_rank(reference.prior)
    if known is None or (ranked and len(reference.residuals) < RESIDUALS_NEEDED):
        return False
    return known.runs >= RUNS_BEFORE_JUDGING - ranked


def _mean_bets(prior: Mapping[str, float], mean: Array, score: Array) -> Array:
    """The logarithms of 1 + c / mu (x - mu) for gains and of 1 + lambda (mu - x); shape (replies, 10).

    Never negative, and of mean 1 while x has mean mu (Waudby-Smith and Ramdas 2024), whatever its law.
    """
    difference = (score - mean)[:, None]
    up, down = _stakes(prior, mean) * difference, _stakes(prior, 1.0 - mean) * -difference
    return np.asarray(np.log1p(np.concatenate((up, down), axis=1)))


def _stakes(prior: Mapping[str, float], room: Array) -> Array:
    """What is staked on each reply, where `room` is what can be lost on it; shape (replies, 5)."""
    room = np.maximum(room, 1e-9)[:, None]
    kelly = DESIGN_DROP / (prior["within"] + DESIGN_DROP**2)
    shares = np.minimum(LARGEST_STAKE, np.array(STAKES) / room)
    return np.concatenate((shares, np.minimum(kelly, STAKES[-1] / room)), axis=1)


def _rank_bets(
    reference: Reference, ready: Sequence[tuple[Observation, CaseReference]]
) -> tuple[Array, tuple[float, ...]]:
    """The bets on each rank, gains first, shape (replies, 2 laws); and residuals that join the reference."""
    levels, held = Levels.load(reference.prior), ascending(reference.residuals).values
    residuals = [levels.residual(one.value, known) for one, known in ready]
    cells = [cell_of(residual, held) for residual in residuals]
    rows = [(*log_bets(cell), *log_bets(cell.mirrored)) for cell in cells]
    room = max(0, RESIDUALS_HELD - len(reference.residuals))
    fresh = [
        residual for (one, _), residual in zip(ready, residuals, strict=True) if one.role is Role.REGULAR
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 2 * len(LAWS)), tuple(fresh[:room])
