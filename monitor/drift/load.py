"""Load: how much the replies of one round, and of rounds close in time, move together in control."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

#: Rounds of a block: longer than a load lasts, so that blocks hardly know of each other.
BLOCK = 20

#: Until blocks are in, replies are taken to be independent; that guess counts as so many blocks.
GUESS_COUNTS = 4.0

#: Blocks from which the load is learnt; then it holds.
BLOCKS_HELD = 100

#: A block counts for at most so many standard deviations: a change that is not told yet is no load.
FURTHEST = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What a stream knows of its load: the variance of batch means (Conway 1963), one for independent replies.

    Attributes:
        rounds: Of the block at hand.
        total: Sum of their standardised round sums.
        blocks: That are full.
        squares: Sum over these of the block's total squared over its rounds.
    """

    rounds: float = 0.0
    total: float = 0.0
    blocks: float = 0.0
    squares: float = 0.0

    @property
    def dispersion(self) -> float:
        """Long-run variance of the round sums over that of independent replies; at least 1."""
        return max(1.0, self._mean)

    @property
    def temper(self) -> float:
        """What a round's log bets are multiplied by, 0..1: 1 / dispersion, where that is above 1 for certain.

        A bet to a power below 1 still has a mean of at most 1 in control (Jensen), so that tempering never
        makes a false alarm; and where rounds share a load, it brings evidence down to what they are worth
        together. One standard error is taken off, so that chance alone tempers little.
        """
        counted = self.blocks + GUESS_COUNTS
        return 1.0 / max(1.0, self._mean * (1.0 - math.sqrt(2.0 / counted)))

    def after(self, standardised: float) -> "Load":
        """With one more round in control: the sum of its normal scores over the root of their number."""
        if self.blocks >= BLOCKS_HELD:
            return self
        rounds, total = self.rounds + 1.0, self.total + standardised
        if rounds < BLOCK:
            return Load(rounds=rounds, total=total, blocks=self.blocks, squares=self.squares)
        square = min(total * total / rounds, FURTHEST**2 * self._mean)
        return Load(blocks=self.blocks + 1.0, squares=self.squares + square)

    @property
    def _mean(self) -> float:
        return (GUESS_COUNTS + self.squares) / (GUESS_COUNTS + self.blocks)

    def dump(self) -> dict[str, float]:
        """As plain JSON."""
        return {
            "load_rounds": self.rounds,
            "load_total": self.total,
            "load_blocks": self.blocks,
            "load_squares": self.squares,
        }

    @classmethod
    def load(cls, own: Mapping[str, float]) -> "Load":
        """From what `dump` gave."""
        return cls(
            rounds=own["load_rounds"],
            total=own["load_total"],
            blocks=own["load_blocks"],
            squares=own["load_squares"],
        )
