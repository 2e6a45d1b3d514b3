"""`plumbline check-config`: every problem at once; where there is none, the plan and its weak points."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from monitor.cases import Scorers, read_all
from monitor.cli.ending import Code
from monitor.cli.options import Output
from monitor.cli.plan import Plan, plan_of, watches_of, weak_points
from monitor.cli.show import Columns, as_json, listing, say, usd
from monitor.config import document
from monitor.config.load import load
from monitor.config.model import Config, EvalSet
from monitor.config.problem import ConfigInvalid, Problem
from monitor.plugins import Plugins
from rotation import CaseFileInvalid, CaseProblem, ScorerRefused

_ENDPOINTS: Columns = {
    "name": ("endpoint", str),
    "kind": ("kind", str),
    "model": ("model", str),
    "host": ("host", str),
}
_PROBES: Columns = {
    "probe": ("probe", str),
    "endpoint": ("endpoint", str),
    "cases": ("cases", str),
    "per_round": ("a round", str),
    "rounds_per_day": ("rounds a day", "{:,.0f}".format),
    "calls_per_day": ("calls a day", "{:,.0f}".format),
    "usd_per_day": ("at most a day", usd),
    "days_to_see": ("5 points seen in", lambda days: in_words(days)),
}


def check_config(path: Path, output: Output) -> Code:
    """Checks the config and all its case files; shows the plan where they hold."""
    plugins = Plugins()
    problems: list[Problem | CaseProblem] = []
    try:
        config = load(path, os.environ, plugins=plugins).config
        watches = watches_of(config, read_all(config, Scorers(plugins, config.endpoints)), plugins)
    except ConfigInvalid as error:
        problems += [*error.problems, *_case_problems(path, plugins)]
    except CaseFileInvalid as error:
        problems += error.problems
    else:
        _tell_plan(plan_of(config, watches), weak_points(config, watches), output)
        return Code.OK
    _tell_problems(problems, output)
    return Code.CONFIG


def _case_problems(path: Path, plugins: Plugins) -> Sequence[CaseProblem]:
    """What is wrong in the case files of a config that is wrong itself, as far as its eval sets can be read."""
    try:
        found = document.read(path, os.environ).data.get("eval_sets")
    except ConfigInvalid:
        return ()
    problems: list[CaseProblem] = []
    for name, written in found.items() if isinstance(found, dict) else ():
        try:
            one = EvalSet.model_validate(written)
            one = one.model_copy(update={"cases": path.absolute().parent / one.cases})
            if one.cases.is_file():
                read_all(Config(eval_sets={name: one}), Scorers(plugins, None))
        except CaseFileInvalid as error:
            problems += error.problems
        except (ValidationError, ScorerRefused, TypeError):
            continue  # told as a problem of the config
    return problems


def _tell_problems(problems: Sequence[Problem | CaseProblem], output: Output) -> None:
    if output is Output.JSON:
        as_json({"ok": False, "problems": [asdict(problem) for problem in problems]})
        return
    say(*(str(problem) for problem in problems), errors=True)
    say(f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}", errors=True)


def _tell_plan(plan: Plan, warnings: Sequence[str], output: Output) -> None:
    if output is Output.JSON:
        as_json({"ok": True, **asdict(plan), "warnings": warnings})
        return
    listing(plan.endpoints, _ENDPOINTS, output, nothing="no endpoints")
    listing(plan.probes, _PROBES, output, nothing="no probes")
    if plan.budget:
        say(plan.budget)
    say(*(f"warning: {warning}" for warning in warnings))
    say("the config holds")


def in_words(days: float) -> str:
    """A span of days: `40 min`, `7 h`, `9 days`."""
    if days * 1440 < 90:
        return f"{max(1, round(days * 1440))} min"
    return f"{days * 24:.0f} h" if days < 2 else f"{days:,.0f} days"
