"""A watch: one probe on one endpoint, with everything that its rounds need. Made anew at each reload."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from monitor.config.model import BaselinePolicy, Config, Endpoint, Probe
from monitor.drift.plan import information_of
from monitor.drift.together import Allowance, Stream, allowances
from monitor.grid import Grid
from monitor.measures import MEASURES, Measure
from monitor.purse import max_tokens_of
from probes import Case, Scorer
from probes.case import content_hash
from rotation import Item, Pool

#: A capture asks until there are this many replies, even where the pool is small.
_REPLIES_TO_LEARN = 100

#: What begins the name of what a stream without a baseline is judged under.
NO_BASELINE = "none-"


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One (endpoint, probe).

    Attributes:
        subject: Hash of what makes the endpoint this very endpoint (kind, model, params).
        allowances: Measure -> what its stream may spend of the budget, for those that alarm.
        scorers: Case key -> scorer name -> scorer.
        judges: Endpoints that scoring its replies asks.
        bases: Case key -> (what is asked, what is asked and how it is scored), as hashes.
    """

    endpoint: str
    probe: str
    settings: Endpoint
    subject: str
    grid: Grid
    jitter: timedelta
    cases_per_round: int
    pool: Pool
    cases: Mapping[str, Case]
    splits: Mapping[str, str]
    scorers: Mapping[str, Mapping[str, Scorer]]
    judges: frozenset[str]
    bases: Mapping[str, tuple[str, str]]
    set_versions: Mapping[str, int]
    allowances: Mapping[str, Allowance]
    baseline: BaselinePolicy
    reasks: bool
    bursts: bool
    max_tokens: int | None

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it."""
        return self.endpoint, self.probe

    @property
    def labels(self) -> dict[str, str]:
        """What its signals carry: the endpoint's own labels, then who it is."""
        extra = {"provider": self.settings.provider, "region": self.settings.region}
        known = {name: value for name, value in extra.items() if value is not None}
        return {**self.settings.labels, **known, "endpoint": self.endpoint, "source": self.probe}

    @property
    def run_lengths(self) -> dict[str, float]:
        """Measure -> rounds between false alarms that its share of the budget allows."""
        return {measure: allowed.run_length for measure, allowed in self.allowances.items()}

    @property
    def interval(self) -> timedelta:
        """Time between slots, on average."""
        return timedelta(days=1) / self.grid.per_day

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What is measured here; cost only where there is a price."""
        return tuple(m for m in MEASURES.values() if m.name != "cost" or self.settings.price is not None)

    @property
    def captured_runs(self) -> int:
        """Runs of each case that a capture needs."""
        return max(self.baseline.runs, -(-_REPLIES_TO_LEARN // max(1, len(self.cases))))

    def windowed(self, measure: Measure) -> str:
        """What a stream without a baseline is judged under; another one where other things are asked or scored."""
        return self._windows[measure.scored]

    @cached_property
    def _windows(self) -> tuple[str, str]:
        asked, scored = (content_hash({key: both[n] for key, both in self.bases.items()}) for n in (0, 1))
        return f"{NO_BASELINE}{asked[:16]}", f"{NO_BASELINE}{scored[:16]}"

    def basis(self, measure: Measure, keys: Sequence[str]) -> dict[str, str]:
        """Case key -> the hash under which a reference of this measure is valid; cases that left are skipped."""
        return {key: self.bases[key][measure.scored] for key in keys if key in self.bases}


def subject_hash(endpoint: Endpoint) -> str:
    """Identity of what a baseline was captured from."""
    return hashlib.sha256(endpoint.subject.encode()).hexdigest()[:16]


def alarming_streams(config: Config, grids: Mapping[tuple[str, str], Grid]) -> dict[str, Stream]:
    """Name -> stream, over everything that may alarm: what the budget is shared by.

    A round is taken to ask as many cases as the probe may; a smaller pool changes shares by little.
    """
    return {
        f"{endpoint}/{probe}/{measure.name}": Stream(
            endpoint=endpoint,
            rounds_per_day=grid.per_day,
            information=information_of(measure.detector) * config.probes[probe].cases_per_round,
        )
        for (endpoint, probe), grid in grids.items()
        for measure in MEASURES.values()
        if measure.alarms
    }


def build(
    config: Config,
    items: Mapping[str, Sequence[Item]],
    versions: Mapping[str, int],
    *,
    scorer: Callable[[Case], Mapping[str, Scorer]],
    grid: Callable[[Probe, str, str], Grid],
) -> tuple[Watch, ...]:
    """Every watch of a config.

    Args:
        config: The config.
        items: Eval set -> its active items with their splits.
        versions: Eval set -> number of its current version.
        scorer: Makes a case's scorers.
        grid: Makes the grid of a probe on an endpoint.
    """
    pairs = {
        (endpoint, name): grid(probe, endpoint, name)
        for name, probe in config.probes.items()
        for endpoint in probe.endpoints_of(config)
    }
    allowed = allowances(
        alarming_streams(config, pairs),
        at_most=config.false_alarms.at_most,
        per_days=config.false_alarms.per / timedelta(days=1),
    )
    return tuple(
        _watch(config, endpoint, name, each, items, versions, allowed, scorer)
        for (endpoint, name), each in pairs.items()
    )


def _watch(
    config: Config,
    endpoint: str,
    name: str,
    grid: Grid,
    items: Mapping[str, Sequence[Item]],
    versions: Mapping[str, int],
    allowed: Mapping[str, Allowance],
    scorer: Callable[[Case], Mapping[str, Scorer]],
) -> Watch:
    probe, settings = config.probes[name], config.endpoints[endpoint]
    pool = Pool([item for each in probe.eval_sets for item in items[each]])
    cases = {item.key: item.case for item in pool.items}
    return Watch(
        endpoint=endpoint,
        probe=name,
        settings=settings,
        subject=subject_hash(settings),
        grid=grid,
        jitter=probe.jitter,
        cases_per_round=probe.cases_per_round,
        pool=pool,
        cases=cases,
        splits={item.key: item.split for item in pool.items},
        scorers={key: scorer(case) for key, case in cases.items()},
        judges=frozenset().union(*(spec.judges for case in cases.values() for spec in case.scorers)),
        bases={key: (c.ask_hash, content_hash([c.ask_hash, c.score_hash])) for key, c in cases.items()},
        set_versions={each: versions[each] for each in probe.eval_sets},
        allowances={m: allowed[f"{endpoint}/{name}/{m}"] for m, row in MEASURES.items() if row.alarms},
        baseline=config.baseline,
        reasks=probe.reasks,
        bursts=probe.bursts,
        max_tokens=max_tokens_of(settings),
    )
