"""Reads every eval set of a config, and makes the scorers that its cases name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.config.model import Config
from monitor.plugins import PluginError, Plugins
from probes import Case, Scorer, ScorerSpec
from probes.case import content_hash
from rotation import CaseFileInvalid, CaseProblem, ScorerRefused, read_cases


@dataclass(frozen=True)
class Scorers:
    """Makes scorers by name; cases with the same parameters share one."""

    plugins: Plugins
    _made: dict[str, Scorer] = field(default_factory=dict)

    def known(self, kind: str, params: Mapping[str, Any]) -> ScorerSpec:
        """Checks a scorer's kind and parameters and fills in its version.

        Raises:
            ScorerRefused: There is no such scorer.
            pydantic.ValidationError: Its parameters are wrong.
        """
        try:
            scorer = self.plugins.scorer(kind)
        except PluginError as error:
            raise ScorerRefused(error.what, error.cure) from error
        scorer.Settings.model_validate(dict(params))
        return ScorerSpec(kind=kind, params=dict(params), version=scorer.version)

    def needs_target(self, spec: ScorerSpec) -> bool:
        """Whether it compares with a target."""
        return self.plugins.scorer(spec.kind).needs_target

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
            self._made[key] = scorer(scorer.Settings.model_validate(dict(spec.params)))
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
