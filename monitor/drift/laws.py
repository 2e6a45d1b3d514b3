"""What a reply is likely to be while nothing has changed, and after each change that is looked for.

The laws of a visit, a case's replies of one round and their re-asks, s passes in m, with W the case's posterior:
f = sum_g W_g theta_g^s (1 - theta_g)^(m - s), and an alternative puts another theta' in theta's place.
Arrays throughout; leading dimensions are pools, as in `grid`.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from monitor.drift.grid import LOG_FAIL, LOG_PASS, THETA, Array, moved, posterior, shift_to, unscaled

#: The drop of the pool's mean that is looked for: five points, or 60 % of what there is to lose.
DESIGN_DROP = 0.05
DESIGN_SHARE = 0.6

#: The columns of every table of laws. A table of l has no column for the first: each moves one to the left.
NULL, GAIN, GAIN_DOUBLE, ABILITY, DOUBLE, FAILURE, RARE, CHURN, SLICE, SLICE_DOUBLE = range(10)

#: Thousands of replies of one case in one round have probabilities that no float holds; they then say nothing.
LEAST_LIKELY = 1e-300

#: Their alternatives to the worse but churn, and the gains, as columns of a table of l.
_WORSE = [column - 1 for column in (ABILITY, DOUBLE, FAILURE, RARE, SLICE, SLICE_DOUBLE)]
_BETTER = [GAIN - 1, GAIN_DOUBLE - 1]

#: A case that passes less often than this has nothing to lose, and one that fails less often nothing to gain.
LEAST_AT_STAKE = 0.01

#: Shares of the mixture: ability, double, failure, rare failure, churn.
WEIGHTS = (0.5, 0.1, 0.15, 0.1, 0.15)

#: Of all slices together.
SLICES_SHARE = 0.15

#: Of the gains' mixture: gain, double gain.
GAIN_WEIGHTS = (0.75, 0.25)

#: Passes that fail anyway, rare ones, and cases that a churn deals anew; shares.
LOST, LOST_RARELY, CHURNED = 0.06, 0.02, 0.15

#: Shifts looked for in slices; the first is also the least of a doubled shift.
SLICE_SHIFTS = (1.6, 3.2)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Laws:
    """The tables of one pool, or of several at once.

    Attributes:
        log_weights: ln w, shape (..., 41).
        mean: mu = sum w theta, shape (...).
        shift: d, the shift of the ability law, shape (...).
        passes: theta' of each law, shape (..., 41, 10); the churn column is that of single replies.
    """

    log_weights: Array
    mean: Array
    shift: Array
    passes: Array

    @classmethod
    def of(cls, weights: Array) -> "Laws":
        """The laws of a pool with these weights, shape (..., 41)."""
        return cls.at(weights, *design_shifts(weights))

    @classmethod
    def at(cls, weights: Array, down: Array, up: Array) -> "Laws":
        """As `of`, where the shifts are known already."""
        mean = (weights * THETA).sum(axis=-1)
        still = np.zeros(mean.shape)
        least = SLICE_SHIFTS[0]
        columns = [
            moved(still),
            moved(up),
            moved(np.maximum(least, 2.0 * up)),
            moved(-down),
            moved(-np.maximum(least, 2.0 * down)),
            np.maximum((1.0 - LOST) * moved(still), THETA[0]),
            np.maximum((1.0 - LOST_RARELY) * moved(still), THETA[0]),
            (1.0 - CHURNED) * moved(still) + CHURNED * mean[..., None],
            *(moved(still - shift) for shift in SLICE_SHIFTS),
        ]
        return cls(log_weights=np.log(weights), mean=mean, shift=down, passes=np.stack(columns, axis=-1))

    def single(self, counts: Array) -> Array:
        """The probability that one reply passes under each law; shape (..., cases, 10).

        Args:
            counts: Passes and runs of each case before the round, shape (..., cases, 2).
        """
        return self.under(counts, self.passes)

    def under(self, counts: Array, table: Array) -> Array:
        """As `single`, for laws of the caller's own; `table` has shape (..., 41, laws)."""
        held = unscaled(self.log_weights, counts)
        return np.asarray(held @ table / held.sum(axis=-1, keepdims=True))

    def visits(self, counts: Array, hits: Array, replies: Array) -> Array:
        """The probability f of whole visits under each law, of one pool; shape (visits, 10).

        Args:
            counts: Passes and runs of each case before its visit, shape (visits, 2).
            hits: Passes s of each visit, shape (visits,).
            replies: Replies m of each visit, the same shape.
        """
        held = posterior(self.log_weights, counts)
        misses = replies - hits
        kernel = self.passes ** hits[:, None, None] * (1.0 - self.passes) ** misses[:, None, None]
        found = np.einsum("vg,vgl->vl", held, kernel)
        anew = np.exp(hits[:, None] * LOG_PASS + misses[:, None] * LOG_FAIL) @ np.exp(self.log_weights)
        found[:, CHURN] = (1.0 - CHURNED) * found[:, NULL] + CHURNED * anew
        return np.asarray(np.maximum(found, LEAST_LIKELY))


def design_shifts(weights: Array) -> tuple[Array, Array]:
    """The shifts d, down and up, in logit: they move the mean by five points, or as far as there is room.

    sum w theta' = mu - min(.05, .6 mu), and mu + min(.05, .6 (1 - mu)).
    """
    mean = (weights * THETA).sum(axis=-1)
    down = -shift_to(weights, mean - np.minimum(DESIGN_DROP, DESIGN_SHARE * mean))
    return down, shift_to(weights, mean + np.minimum(DESIGN_DROP, DESIGN_SHARE * (1.0 - mean)))


@lru_cache(maxsize=256)
def laws_of(prior: tuple[float, ...]) -> Laws:
    """The laws of one pool, from its weights and its two shifts; kept, since they stand still for many rounds."""
    *weights, down, up = prior
    return Laws.at(np.array(weights), np.array(down), np.array(up))


def log_bets(probabilities: Array) -> Array:
    """The logarithm of each alternative's probability over the null's: the last dimension loses its first entry."""
    logs = np.log(probabilities)
    return np.asarray(logs[..., 1:] - logs[..., :1])


def at_stake(bets: Array, expected: Array) -> Array:
    """The bets without those on cases that have nothing to lose, or nothing to gain; changed in place.

    A case that never passes is still expected to pass now and then, so each of its failures would count as a
    little worse, and a pool of such cases would alarm for nothing. What is left out is settled before the
    round, so the bets stay fair. Churn is left in: a case that never passed and does now is another case.

    Args:
        bets: Of replies or visits, shape (..., 9).
        expected: How likely one reply of the case is to pass, shape (...).
    """
    for beyond, columns in ((expected < LEAST_AT_STAKE, _WORSE), (expected > 1.0 - LEAST_AT_STAKE, _BETTER)):
        if beyond.any():
            left = bets[beyond]
            left[:, columns] = 0.0
            bets[beyond] = left
    return bets


@lru_cache(maxsize=64)
def mixture_weights(components: int) -> Array:
    """The weights of a mixture of this many components, without gains: the five, then two for each slice.

    The slices have 15 % together, so that the five keep 85 % however many slices there are.
    """
    slices = components - len(WEIGHTS)
    if not slices:
        return np.array(WEIGHTS)
    five = (1.0 - SLICES_SHARE) * np.array(WEIGHTS)
    return np.concatenate((five, np.full(slices, SLICES_SHARE / slices)))
