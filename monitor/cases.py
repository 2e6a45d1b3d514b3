"""Reads every eval set of a config, and makes the scorers that its cases name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.config.model import Config, Endpoint
from monitor.config.problem import choose
from monitor.judges import Consulted
from monitor.plugins import PluginError, Plugins, make_scorer, needs_of
from monitor.watch import subject_hash
from probes import Case, Parts, Scorer, ScorerSpec
from probes.case import content_hash
from rotation import CaseFileInvalid, CaseProblem, ScorerRefused, read_cases


@dataclass(frozen=True)
class Scorers:
    """Makes scorers by name; cases with the same parameters share one.

    Attributes:
        plugins: Where scorers are found.
        endpoints: The config's, for scorers that ask one; None where they cannot be read, so any name passes.
    """

    plugins: Plugins
    endpoints: Mapping[str, Endpoint] | None
    _made: dict[str, Scorer] = field(default_factory=dict)

    def known(self, kind: str, params: Mapping[str, Any]) -> ScorerSpec:
        """Checks a scorer's kind and parameters, fills in its version, and finds what it leans on.

        Raises:
            ScorerRefused: There is no such scorer, or it leans on an endpoint or a scorer that is not there.
            pydantic.ValidationError: Its parameters are wrong.
        """
        try:
            scorer = self.plugins.scorer(kind)
        except PluginError as error:
            raise ScorerRefused(error.what, error.cure) from error
        needs = needs_of(scorer, scorer.Settings.model_validate(dict(params)))
        return ScorerSpec(
            kind=kind,
            params=dict(params),
            version=scorer.version,
            asks={name: self._subject(kind, name) for name in needs.endpoints},
            parts=tuple(self.known(part, given) for part, given in needs.scorers),
        )

    def _subject(self, kind: str, name: str) -> str:
        if self.endpoints is None:
            return ""
        if name not in self.endpoints:
            what = f"{kind} asks the endpoint '{name}', and there is none of that name"
            raise ScorerRefused(what, choose(name, sorted(self.endpoints)))
        return subject_hash(self.endpoints[name])

    def needs_target(self, spec: ScorerSpec) -> bool:
        """Whether it, or a part of it, compares with a target."""
        return self.plugins.scorer(spec.kind).needs_target or any(map(self.needs_target, spec.parts))

    def of(self, case: Case) -> dict[str, Scorer]:
        """The scorers of a case by name; two of one kind are told apart by a number."""
        named: dict[str, Scorer] = {}
        for spec in case.scorers:
            name, n = spec.kind, 2
            while name in named:
                name, n = f"{spec.kind}_{n}", n + 1
            named[name] = self._make(spec)
        return named

    def _make(self, spec: ScorerSpec) -> Scorer:
        key = content_hash(spec.as_json())
        if key not in self._made:
            scorer = self.plugins.scorer(spec.kind)
            settings = scorer.Settings.model_validate(dict(spec.params))
            self._made[key] = make_scorer(
                scorer,
                settings,
                Parts(
                    clients={name: Consulted(name) for name in spec.asks},
                    scorers=tuple(map(self._make, spec.parts)),
                ),
            )
        return self._made[key]


def read_all(config: Config, scorers: Scorers) -> dict[str, tuple[Case, ...]]:
    """Eval set -> the cases of its file.

    Raises:
        CaseFileInvalid: One or more files are wrong; it carries every problem of all of them.
    """
    found: dict[str, tuple[Case, ...]] = {}
    problems: list[CaseProblem] = []
    for name, eval_set in config.eval_sets.items():
        try:
            defaults = tuple(scorers.known(use.kind, use.params) for use in eval_set.scorers)
            found[name] = read_cases(
                eval_set.cases,
                default_scorers=defaults,
                known_scorer=scorers.known,
                needs_target=scorers.needs_target,
            )
        except CaseFileInvalid as error:
            problems += error.problems
    if problems:
        raise CaseFileInvalid(problems)
    return found
