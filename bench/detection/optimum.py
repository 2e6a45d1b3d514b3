"""The limit: Page's CUSUM that knows the laws before and after, the fastest there is (Moustakides 1986)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.detection import arl
from bench.detection.arl import Measured

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Binary:
    """Passes and failures with known laws, cases in rotation.

    Attributes:
        before: Probability of a pass; shape (streams, cases in the order of the rotation).
        after: The same after the change.
        panel: Cases a round.
    """

    before: Array
    after: Array
    panel: int

    def bets(self, number: int, changed: bool, rng: np.random.Generator) -> Array:
        """Log-likelihood ratios of one round, summed; shape (streams,)."""
        cases = (number * self.panel + np.arange(self.panel)) % self.before.shape[1]
        p, q = self.before[:, cases], self.after[:, cases]
        passed = rng.random(p.shape) < (q if changed else p)
        with np.errstate(divide="ignore", invalid="ignore"):
            bets = np.where(passed, np.log(q / p), np.log((1.0 - q) / (1.0 - p)))
        return np.asarray(np.nan_to_num(bets).sum(axis=1))


@dataclass(frozen=True, kw_only=True)
class Continuous:
    """Independent replies with known densities.

    Attributes:
        streams: How many.
        panel: Replies a round.
        draw: (generator, shape, changed) -> replies.
        ratio: Replies -> their log-likelihood ratio.
    """

    streams: int
    panel: int
    draw: Callable[[np.random.Generator, tuple[int, int], bool], Array]
    ratio: Callable[[Array], Array]

    def bets(self, number: int, changed: bool, rng: np.random.Generator) -> Array:
        """Log-likelihood ratios of one round, summed; shape (streams,)."""
        return np.asarray(self.ratio(self.draw(rng, (self.streams, self.panel), changed)).sum(axis=1))


def delay(laws: Binary | Continuous, seed: int, *, target: float, rounds: int, quiet: int = 200) -> Measured:
    """Mean rounds to the alarm of the CUSUM with this average run length.

    Args:
        laws: What happens.
        seed: Of all chance.
        target: Average run length, rounds.
        rounds: Length of each path in control.
        quiet: Rounds before the change.
    """
    rng = np.random.default_rng(seed)
    before = np.zeros((rounds, len(laws.bets(0, False, rng))))
    height = np.zeros(before.shape[1])
    held = height
    for number in range(rounds):
        if number == quiet:
            held = height.copy()
        height = np.maximum(0.0, height + laws.bets(number, False, rng))
        before[number] = height
    paths = arl.paths_of(before)
    at = arl.height_for(paths, target)
    after, found = [], held
    for number in range(quiet, quiet + 500):
        found = np.maximum(0.0, found + laws.bets(number, True, rng))
        after.append(found)
        if len(after) % 20 == 0 and (np.max(after, axis=0) > at + 0.5).all():
            break
    silent = arl.paths_of(before[:quiet])
    alarms = arl.run_length(paths, at).n
    return arl.delay(arl.paths_of(np.array(after)), silent, at, alarms=alarms)[0]
