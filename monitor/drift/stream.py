"""The stored state of a paired stream: its mixtures, what waits, and what follows an alarm."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from monitor.drift.aftermath import Aftermath
from monitor.drift.detector import State
from monitor.drift.effect import size_of
from monitor.drift.mixture import Mixture
from monitor.drift.visits import Pending

#: The layout of the state; the detector's `version`.
LAYOUT = 2

#: Slices that get components of their own, the first ones that come, and the longest name of one in bytes.
SLICES_HELD = 10
LONGEST_SLICE = 32

#: Cases remembered as those that contribute, and the bytes they may take.
CASES_HELD = 12
CASES_BYTES = 600

#: A reply that adds less than this to the evidence, in nats, does not put its case among them.
LEAST_BLAME = 0.1


@dataclass(kw_only=True, slots=True)
class Stream:
    """A working copy of the state: `load` makes it, one round changes it, `dump` gives the next state.

    Attributes:
        judged: Rounds judged so far.
        gains: How many of the components are gains.
        mixture: The components: gains first, then changes to the worse, those of slices last.
        repeats: The two sums behind the repeat rate.
        pending: Visits that wait for re-asks.
        slices: Names of the slices that have components, in their order.
        runs: Of the whole pool, as far as this stream knows.
        cases: Case -> its sum of l in the leading component since that one's start; a bounded selection.
        cases_since: The start they are counted from, in seconds of the epoch.
        change: What follows an alarm; None while there is none.
    """

    judged: int = 0
    gains: int = 0
    mixture: Mixture
    repeats: tuple[float, float] = (0.0, 0.0)
    pending: tuple[Pending, ...] = ()
    slices: tuple[str, ...] = ()
    runs: float = 0.0
    cases: dict[str, float] = field(default_factory=dict)
    cases_since: float = 0.0
    change: Aftermath | None = None

    @property
    def changed(self) -> bool:
        """Whether the stream got worse and is not back."""
        return self.change is not None and not self.change.up

    def make_room(self, gains: int, worse: int) -> None:
        """Adds the components; their number is not known before there is a baseline."""
        if not self.mixture.rows:
            self.gains, self.mixture = gains, Mixture.empty(gains + worse)

    def meet(self, slices: Iterable[Sequence[str]]) -> None:
        """Adds components for slices not seen before, as long as there is room."""
        for name in sorted({name for names in slices for name in names}.difference(self.slices)):
            if size_of(name) <= LONGEST_SLICE and len(self.slices) < SLICES_HELD:
                self.slices = (*self.slices, name)
                self.mixture = self.mixture.widened(len(self.mixture.rows) + 2)

    def clear(self) -> None:
        """All S are 0; nothing else is forgotten."""
        self.mixture = Mixture.empty(len(self.mixture.rows))

    def blame(self, since: float, found: Iterable[tuple[str, float]]) -> None:
        """Puts a round's evidence on its cases; a later start forgets what came before, and 0 forgets all."""
        if not since or since > self.cases_since:
            self.cases = {}
        self.cases_since = since
        if not since:
            return
        sums = self.cases
        grown = set()
        for case, evidence in found:
            if evidence > LEAST_BLAME or case in sums:
                sums[case] = sums.get(case, 0.0) + evidence
                grown.add(case)
        if grown:
            self.cases = _leading(sums, grown)

    def dump(self) -> State:
        """As plain JSON."""
        return {
            "v": LAYOUT,
            "judged": self.judged,
            "gains": self.gains,
            "mixture": self.mixture.dump(),
            "repeats": list(self.repeats),
            "pending": [waiting.dump() for waiting in self.pending],
            "slices": list(self.slices),
            "runs": self.runs,
            "cases": [[case, evidence] for case, evidence in self.cases.items()],
            "cases_since": self.cases_since,
            "change": self.change.dump() if self.change else None,
        }

    @classmethod
    def load(cls, state: State) -> "Stream":
        """From what `dump` gave.

        Raises:
            ValueError: The state was written by another version.
        """
        if state.get("v") != LAYOUT:
            raise ValueError(f"detector state of version {state.get('v')!r}: this one reads {LAYOUT}")
        repeats: Sequence[float] = state["repeats"]
        return cls(
            judged=state["judged"],
            gains=state["gains"],
            mixture=Mixture.load(state["mixture"]),
            repeats=(repeats[0], repeats[1]),
            pending=tuple([Pending.load(one) for one in state["pending"]]),
            slices=tuple(state["slices"]),
            runs=state["runs"],
            cases=dict(state["cases"]),
            cases_since=state["cases_since"],
            change=Aftermath.load(state["change"]) if state["change"] else None,
        )


def _leading(sums: Mapping[str, float], grown: Container[str]) -> dict[str, float]:
    """The cases with the most evidence, worst first, in a bounded number of bytes."""
    leading: dict[str, float] = {}
    left = CASES_BYTES
    for case, evidence in sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:CASES_HELD]:
        left -= size_of(case) + 14
        if evidence > 0.0 and left >= 0:
            leading[case] = round(evidence, 4) if case in grown else evidence
    return leading
