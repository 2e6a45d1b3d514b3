"""Captures a baseline: what is still to be asked, what it will cost, and what the replies say together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.drift.detector import Detector
from monitor.judge import observations
from monitor.purse import worst_nano
from monitor.store import baselines
from monitor.store.engine import Store
from monitor.watch import Watch
from probes import ENDPOINT_FAILURES, NETWORK_FAILURES, Outcome

#: Above this share of failed attempts a capture is refused: it would teach that failing is normal.
MOST_FAILED = 0.05
#: The share is one of this many attempts at least: one failure among the first few refuses nothing.
_ENOUGH_TO_TELL = 20
#: Attempts of one chunk; between chunks other rounds and a drain get their turn.
CHUNK = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a capture is.

    Attributes:
        done: Usable replies that count.
        wanted: Usable replies that are needed.
        attempts: Attempts made, failed ones included.
        failed: Attempts that failed (what was ours does not count).
        reasons: Outcome -> failed attempts.
    """

    done: int
    wanted: int
    attempts: int
    failed: int
    reasons: Mapping[str, int]

    @property
    def whole(self) -> bool:
        """Whether every case has its runs."""
        return self.done >= self.wanted

    @property
    def refused(self) -> bool:
        """Whether too many attempts failed for a baseline."""
        return self.failed > MOST_FAILED * max(self.attempts, min(_ENOUGH_TO_TELL, self.wanted))

    def why_refused(self) -> str:
        """One sentence for people."""
        reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(self.reasons.items()))
        return (
            f"{self.failed} of {self.attempts} attempts failed ({reasons}); a baseline needs an endpoint "
            f"that works (at most {100 * MOST_FAILED:.0f} % failures)"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a capture will take: calls, and dollars at most (None where the endpoint has no price).

    Attributes:
        questions: To judges, which are paid from what their own endpoints may spend.
        judges: Their names.
    """

    cases: int
    calls: int
    usd: float | None
    questions: int = 0
    judges: tuple[str, ...] = ()

    def __str__(self) -> str:
        money = (
            "no price is set, so dollars are not known" if self.usd is None else f"at most ${self.usd:.4f}"
        )
        judged = f"; {self.questions} questions to {', '.join(self.judges)}" if self.judges else ""
        return f"{self.calls} calls ({self.cases} cases), {money}{judged}"


def estimate(watch: Watch, progress: Progress | None = None) -> Estimate:
    """What is still to be paid for a capture."""
    runs = watch.captured_runs
    calls = len(watch.cases) * runs - (progress.done if progress else 0)
    usd = None
    if watch.settings.price is not None:
        price, timeout = watch.settings.price, watch.settings.timeout.total_seconds()
        each = [worst_nano(price, case, watch.max_tokens, timeout) for case in watch.cases.values()]
        usd = sum(each) * runs / 1e9 * (calls / max(1, len(watch.cases) * runs))
    each_run = sum(len(spec.judges) for case in watch.cases.values() for spec in case.scorers)
    return Estimate(
        cases=len(watch.cases),
        calls=calls,
        usd=usd,
        questions=round(each_run * calls / max(1, len(watch.cases))),
        judges=tuple(sorted(watch.judges)),
    )


def progress(watch: Watch, rows: Sequence[Any]) -> Progress:
    """How far the stored attempts of a capture bring it."""
    runs = _usable(watch, rows)
    reasons: dict[str, int] = {}
    attempts = 0
    for row in rows:
        if row.outcome == Outcome.OK or row.outcome in _COUNTS_AGAINST:
            attempts += 1
        if row.outcome in _COUNTS_AGAINST:
            reasons[row.outcome] = reasons.get(row.outcome, 0) + 1
    need = watch.captured_runs
    return Progress(
        done=sum(min(need, n) for n in runs.values()),
        wanted=need * len(watch.cases),
        attempts=attempts,
        failed=sum(reasons.values()),
        reasons=reasons,
    )


#: What refuses a capture. Failures that may be our own network's are left out by who calls.
_COUNTS_AGAINST = ENDPOINT_FAILURES | NETWORK_FAILURES | {Outcome.AUTH}
_TELLS = ENDPOINT_FAILURES | {Outcome.OK, Outcome.AUTH}


def next_chunk(watch: Watch, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The panel of the capture's next round: cases with the fewest runs first; empty when it is whole.

    Until something has answered, a chunk is a round like any other: a dead endpoint costs no more than that.
    """
    runs = _usable(watch, rows)
    missing = [(n, key) for key in watch.cases for n in range(runs.get(key, 0), watch.captured_runs)]
    size = CHUNK if runs else min(CHUNK, watch.cases_per_round)
    return [
        {"seq": seq, "key": key, "inclusion": 1.0, "split": watch.splits[key]}
        for seq, (_, key) in enumerate(sorted(missing)[:size])
    ]


def _usable(watch: Watch, rows: Sequence[Any]) -> dict[str, int]:
    """Case key -> usable replies to what the case asks today."""
    runs: dict[str, int] = {}
    for row in rows:
        if row.outcome == Outcome.OK and asked_today(watch, row):
            runs[row.case_key] = runs.get(row.case_key, 0) + 1
    return runs


def asked_today(watch: Watch, row: Any) -> bool:
    """Whether a stored attempt asked what its case asks now."""
    case = watch.cases.get(row.case_key)
    return case is not None and case.ask_hash == row.ask_hash


def goes_on(outcomes: Mapping[str, int]) -> bool:
    """Whether a chunk that ended so is followed by the next at once; else the capture waits for the next slot.

    An endpoint that asks us to slow down, an empty purse or a lost network is not asked again and again.
    """
    if outcomes.get(Outcome.NO_BUDGET):
        return False
    told = sum(n for outcome, n in outcomes.items() if outcome in _TELLS)
    return 2 * told > sum(outcomes.values())


async def fit(
    connection: AsyncConnection,
    store: Store,
    watch: Watch,
    baseline: str,
    rows: Sequence[Any],
    detector: Callable[[str], Detector],
    only: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Turns a capture's replies into references, and stores them.

    Returns:
        Measure -> what its detector fitted over the whole pool.
    """
    fits: dict[str, Any] = {}
    rows = [row for row in rows if asked_today(watch, row)]
    for measure in watch.measures:
        if not measure.needs_baseline or (only is not None and measure.name not in only):
            continue
        runs: dict[str, list[float]] = {}
        for seen in observations(measure, rows, uplink_up=True, keys=watch.cases):
            runs.setdefault(seen.case, []).append(seen.value)
        if not runs:
            continue  # an endpoint that reports no tokens has no baseline of tokens
        reference = detector(measure.detector).fit(runs)
        fits[measure.name] = {**reference.prior, baselines.FITTED_BY: detector(measure.detector).version}
        await baselines.write_reference(
            connection,
            store,
            baseline=baseline,
            measure=measure.name,
            reference=reference,
            basis=watch.basis(measure, list(reference.cases)),
            captured=True,
        )
    return fits
