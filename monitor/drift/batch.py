"""Many streams of passes and failures at once: the engine of `binary` on arrays, for simulations.

The bootstrap of thresholds and the benchmark play hundreds of thousands of rounds. Here they cost a few microseconds
each, since streams share every step and a case's probabilities are kept as long as its counts stand still. It is the
same engine, re-asks, bursts, learning and refits included: `tests/monitor/drift/test_batch.py` holds its evidence
against that of `PairedMixture.update`, reply for reply. It has no alarms; whoever plays it reads the statistics.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monitor.drift.binary import GUESSED_REPEATS, GUESSED_VISITS, LARGEST_RATE
from monitor.drift.course import BURST_AT, REFIT_GROWTH, ROUNDS_TO_LEARN
from monitor.drift.evidence import CEILING
from monitor.drift.gathering import Indices, Sums, Waiting, joined
from monitor.drift.grid import LOG_FAIL, LOG_PASS, Array, fit_weights, log_likelihood, posterior
from monitor.drift.laws import (
    CHURN,
    CHURNED,
    GAIN_WEIGHTS,
    NULL,
    WEIGHTS,
    Laws,
    at_stake,
    log_bets,
    mixture_weights,
)
from monitor.drift.visits import ROUNDS_LEARNT, RUNS_HELD, UNLIKELY

#: Times that an unlikely reply is asked again, and cases of a burst for each case of a round.
REASKS, BURST = 2, 2

_GAIN_WEIGHTS = np.array(GAIN_WEIGHTS)


class Replies(Protocol):
    """What the endpoints of a batch reply, 1 for a pass and 0 for a failure."""

    def reply(self, streams: Indices, cases: Indices) -> Array:
        """One reply to each case from each stream; shape (streams, cases)."""

    def again(self, streams: Indices, cases: Indices, first: Array) -> Array:
        """Two more replies to each of these visits, whose first replies were `first`; shape (visits, 2)."""


class Streams:
    """A batch: as many streams as `passes` has rows, all with pools of one size and the same rotation.

    Attributes:
        statistic: Evidence for a change to the worse after the last round, in nats; shape (streams,).
        gains: Evidence for a gain, likewise.
        bets: The last round's sums of l, one column a component as in `Step.log_bets`.
        asked: Replies of the last round, shape (streams,).
    """

    def __init__(
        self,
        replies: Replies,
        passes: Array,
        runs: Array,
        *,
        panel: int,
        reasks: bool = True,
        bursts: bool = True,
        slices: Sequence[int] = (),
    ) -> None:
        """Fits the pools.

        Args:
            replies: What the endpoints reply.
            passes: Of each case at the capture; shape (streams, cases).
            runs: Of each case at the capture, the same shape; at least three.
            panel: Cases a round.
            reasks: Whether unlikely replies are asked again.
            bursts: Whether rounds grow when the evidence does.
            slices: The number of each case's slice, from 0; empty for none.
        """
        self.replies, self.reasks, self.bursts = replies, reasks, bursts
        self.passes, self.runs = passes.astype(np.float64), runs.astype(np.float64)
        self.size = passes.shape[1]
        self.panel = min(panel, self.size)
        self.hold = max(RUNS_HELD, -(-ROUNDS_LEARNT * self.panel // self.size))
        self.slices = np.array(slices, dtype=np.intp)
        self.components = len(WEIGHTS) + 2 * (max(slices) + 1 if len(slices) else 0)
        count = len(passes)
        self.every = np.arange(count)
        self.sums, self.gain_sums = np.zeros((count, self.components)), np.zeros((count, 2))
        self.statistic, self.gains, self.asked = np.zeros(count), np.zeros(count), np.zeros(count)
        self.bets = np.zeros((count, self.components))
        self._rounds, self._turn, self._waiting = 0, 0, None  # type: int, int, Waiting | None
        self._same, self._expected = np.full(count, GUESSED_REPEATS), np.full(count, GUESSED_VISITS)
        self._weights = fit_weights(np.stack((self.passes, self.runs), axis=-1))
        self._fitted = self.runs.sum(axis=1)
        self._learnt = self._fitted.copy()
        laws = Laws.of(self._weights)
        self._log_weights, self._laws = laws.log_weights, laws.passes
        self._visit_laws = _of_three(laws.passes)
        self._single = np.zeros((count, self.size, laws.passes.shape[-1]))
        self._known = np.zeros(self.passes.shape, dtype=bool)

    def round(self) -> None:
        """Plays one round of every stream."""
        sums = Sums(len(self.every), self.slices, self.components)
        self.asked = np.full(len(self.every), float(self.panel))
        if self._waiting is not None:
            self._ask_again(sums, self._waiting)
        cases = (self._turn + np.arange(self.panel)) % self.size
        hot = np.flatnonzero(self.statistic > BURST_AT) if self.bursts else self.every[:0]
        found = self._ask(sums, cases, hot)
        self._turn = (self._turn + self.panel) % self.size
        self._waiting = joined(found) if self.reasks else None
        self._roll(sums)
        self._refit()

    def reset(self, streams: NDArray[np.bool_]) -> None:
        """Sets the sums of these streams to 0, as an alarm does."""
        self.sums[streams] = 0.0
        self.gain_sums[streams] = 0.0
        self.statistic[streams] = 0.0

    def _ask(self, sums: Sums, cases: Indices, hot: Indices) -> list[Waiting]:
        """The cases of the round, and those of its bursts."""
        passes, runs = self.passes[:, cases], self.runs[:, cases]
        hits = self.replies.reply(self.every, cases)
        likely = self._likely(self.every, cases, hits)
        learns = runs < self.hold
        ahead = (self._turn + self.panel + np.arange(BURST * self.panel)) % self.size
        together = len(hot) and self.size < (1 + BURST) * self.panel
        alone = np.ones(len(self.every), dtype=bool)
        if together:
            alone[hot] = False
        sums.add(self.every[alone], cases, self._bets(likely[alone], hits[alone]))
        found = [self._unlikely(self.every[alone], cases, hits[alone], likely[alone], learns=True)]
        if together:
            found.append(self._ask_together(sums, hot, cases, ahead, hits[hot]))
        elif len(hot):
            more = self.replies.reply(hot, ahead)
            evidence = self._likely(hot, ahead, more)
            sums.add(hot, ahead, self._bets(evidence, more))
        self.asked[hot] += len(ahead)
        self.passes[:, cases] = passes + hits * learns
        self.runs[:, cases] = runs + learns
        self._learnt += learns.sum(axis=1)
        self._known[:, cases] &= ~learns
        return found

    def _ask_together(self, sums: Sums, hot: Indices, cases: Indices, ahead: Indices, hits: Array) -> Waiting:
        """A burst in a pool so small that cases are asked repeatedly: their replies form one visit."""
        asked = np.bincount(np.concatenate((cases, ahead)), minlength=self.size)
        passed = np.zeros((len(hot), self.size))
        passed[:, cases] = hits
        np.add.at(passed.T, ahead, self.replies.reply(hot, ahead).T)
        visited = np.flatnonzero(asked)
        streams, where = np.repeat(hot, len(visited)), np.tile(visited, len(hot))
        m, s = asked[where].astype(np.float64), passed[:, visited].ravel()
        laws = self._laws[streams]
        kernel = laws ** s[:, None, None] * (1.0 - laws) ** (m - s)[:, None, None]
        held = self._posterior(streams, self.passes[streams, where], self.runs[streams, where])
        likely = self._with_churn(np.einsum("vg,vgl->vl", held, kernel), streams, s, m)
        expected = np.einsum("vg,vg->v", held, laws[..., NULL])
        sums.add_each(streams, where, at_stake(log_bets(likely), expected))
        regular = np.isin(where, cases)
        again = (m == 1.0) & regular & (likely[:, NULL] < UNLIKELY)
        return self._wait(streams[again], where[again], s[again], regular[again])

    def _likely(self, streams: Indices, cases: Indices, hits: Array) -> Array:
        """The probability of these single replies under each law; shape (streams, cases, laws)."""
        at = np.ix_(streams, cases)
        if not self._known[at].all():
            held = posterior(self._log_weights[streams], np.stack((self.passes[at], self.runs[at]), axis=-1))
            self._single[at] = held @ self._laws[streams]
            self._known[at] = True
        passes = self._single[at]
        return np.where(hits[..., None] > 0.0, passes, 1.0 - passes)

    def _bets(self, likely: Array, hits: Array) -> Array:
        """Single replies' l; shape (streams, cases, laws - 1)."""
        expected = np.where(hits > 0.0, likely[..., NULL], 1.0 - likely[..., NULL])
        return at_stake(log_bets(likely), expected)

    def _unlikely(
        self, streams: Indices, cases: Indices, hits: Array, likely: Array, *, learns: bool
    ) -> Waiting:
        row, column = np.nonzero(likely[..., NULL] < UNLIKELY)
        return self._wait(streams[row], cases[column], hits[row, column], np.full(len(row), learns))

    def _wait(self, streams: Indices, cases: Indices, first: Array, learns: NDArray[np.bool_]) -> Waiting:
        passes, runs = self.passes[streams, cases], self.runs[streams, cases]
        return Waiting(streams, cases, passes, runs, first, learns)

    def _ask_again(self, sums: Sums, waiting: Waiting) -> None:
        """l(visit) - l(first) of what waited, with the repeat rate as learnt before."""
        streams, cases, first = waiting.streams, waiting.cases, waiting.first
        replies = self.replies.again(streams, cases, first)
        self.asked += np.bincount(streams, minlength=len(self.every)) * float(REASKS)
        hits, three = first + replies.sum(axis=1), np.full(len(streams), 1.0 + REASKS)
        held = self._posterior(streams, waiting.passes, waiting.runs)
        whole = self._of_visits(held, streams, hits, three)
        once = np.einsum("vg,vgl->vl", held, self._laws[streams])
        once = np.where(first[:, None] > 0.0, once, 1.0 - once)
        equal = hits == first * three
        if_equal = self._of_visits(held, streams, first * three, three)[:, NULL] / once[:, NULL]
        rate = np.clip(self._same / self._expected, 0.0, LARGEST_RATE)[streams, None]
        with_repeats = (1.0 - rate) * whole + rate * once * equal[:, None]
        expected = np.where(first > 0.0, once[:, NULL], 1.0 - once[:, NULL])
        sums.add_each(streams, cases, at_stake(log_bets(with_repeats) - log_bets(once), expected))
        np.add.at(self._same, streams, equal - if_equal)
        np.add.at(self._expected, streams, 1.0 - if_equal)
        learns = waiting.learns & (self.runs[streams, cases] < self.hold)
        self.passes[streams[learns], cases[learns]] += (hits - first)[learns]
        self.runs[streams[learns], cases[learns]] += REASKS
        self._learnt += np.bincount(streams[learns], minlength=len(self.every)) * float(REASKS)
        self._known[streams[learns], cases[learns]] = False

    def _posterior(self, streams: Indices, passes: Array, runs: Array) -> Array:
        grid = log_likelihood(np.stack((passes, runs), axis=-1)) + self._log_weights[streams]
        np.exp(grid - grid.max(axis=1, keepdims=True), out=grid)
        return np.asarray(grid / grid.sum(axis=1, keepdims=True))

    def _of_visits(self, held: Array, streams: Indices, hits: Array, three: Array) -> Array:
        kernel = self._visit_laws[hits.astype(np.intp), streams]
        return self._with_churn(np.einsum("vg,vgl->vl", held, kernel), streams, hits, three)

    def _with_churn(self, found: Array, streams: Indices, hits: Array, replies: Array) -> Array:
        """The churn's column of whole visits: a case dealt anew has one law for all its replies."""
        anew = np.exp(hits[:, None] * LOG_PASS + (replies - hits)[:, None] * LOG_FAIL)
        anew = (anew * np.exp(self._log_weights[streams])).sum(axis=1)
        found[:, CHURN] = (1.0 - CHURNED) * found[:, NULL] + CHURNED * anew
        return found

    def _roll(self, sums: Sums) -> None:
        self.bets, seen = sums.bets, sums.seen
        rolled = np.minimum((1.0 + self.sums) * np.exp(self.bets), CEILING)
        self.sums = np.where(seen, rolled, self.sums)
        self._rounds += 1
        if self._rounds > ROUNDS_TO_LEARN:
            self.gain_sums = np.minimum((1.0 + self.gain_sums) * np.exp(sums.gains), CEILING)
        self.statistic = np.log(np.maximum(1.0, self.sums @ mixture_weights(self.components)))
        self.gains = np.log(np.maximum(1.0, self.gain_sums @ _GAIN_WEIGHTS))

    def _refit(self) -> None:
        holds = float(self.size * self.hold)
        due = (self._learnt >= REFIT_GROWTH * self._fitted) | (
            (self._fitted < holds) & (holds <= self._learnt)
        )
        if due.any():
            self._weights[due] = fit_weights(
                np.stack((self.passes[due], self.runs[due]), axis=-1), start=self._weights[due]
            )
            laws = Laws.of(self._weights[due])
            self._log_weights[due], self._laws[due] = laws.log_weights, laws.passes
            self._visit_laws[:, due] = _of_three(laws.passes)
            self._fitted[due], self._known[due] = self._learnt[due], False


def _of_three(laws: Array) -> Array:
    """theta'^s (1 - theta')^(3 - s) for s = 0..3; one dimension more than `laws`, the first."""
    return np.stack([laws**s * (1.0 - laws) ** (1 + REASKS - s) for s in range(2 + REASKS)])
