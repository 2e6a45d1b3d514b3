"""Every scorer that is installed, ours and others', keeps the contract."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pytest

from probes import Case, Message, Parts, Reply, Score
from probes.contract import ContractBroken, check_scorer
from probes.scorers.text import Exact, ExactSettings, Includes, IncludesSettings
from tests.probes.judges import Bench, gives
from tests.probes.judges import parts as judged

SCORERS = entry_points(group="plumbline.scorers")
CASE = Case(id="c1", messages=(Message(role="user", content="2+2?"),), target=("4", "four"))
#: Parameters of those that cannot do without; a new scorer that needs some adds a line.
SETTINGS: dict[str, dict[str, Any]] = {
    "pattern": {"pattern": r"(\d+)", "group": 1},
    "json-schema": {"schema": {"type": "object", "properties": {"a": {"$ref": "#"}}}},
    "length": {"max": 5},
    "script": {"scripts": ["Latin"]},
    "instructions": {"sentences": 1, "contains": ["4"]},
    "llm-judge": {"endpoint": "judge"},
    "rubric": {"endpoint": "judge", "criteria": [{"name": "reply", "text": "It is right."}]},
    "composite": {"parts": ["exact", "includes"]},
    "similarity": {"endpoint": "embedder"},
}
#: Cases of those that can judge no other; on a case that it cannot judge, a scorer would show nothing.
CASES: dict[str, Case] = {
    "choice": Case(id="c1", messages=CASE.messages, target=("B",)),
    "tool-call": Case(id="c1", messages=CASE.messages, target=('[{"name": "add", "arguments": {"a": 2}}]',)),
}
#: What those with `needs` are made with.
PARTS: dict[str, Parts] = {
    "llm-judge": judged(Bench(gives(5))),
    "rubric": judged(Bench(gives(5))),
    "composite": Parts(scorers=(Exact(ExactSettings()), Includes(IncludesSettings()))),
    "similarity": judged(Bench(lambda request: "[1, 2]"), "embedder"),
}


def test_the_scorers_that_ship_are_registered() -> None:
    assert {"exact", "includes", "pattern", "number", "json", "json-schema"} <= SCORERS.names


@pytest.mark.parametrize("entry", SCORERS, ids=lambda entry: entry.name)
async def test_a_scorer_keeps_the_contract(entry: EntryPoint) -> None:
    settings, parts = SETTINGS.get(entry.name, {}), PARTS.get(entry.name)
    case = CASES.get(entry.name, CASE)
    await check_scorer(entry.load(), settings, case=case, reply="It is 4.", parts=parts)


@pytest.mark.parametrize("settings", [{"ignore_case": True}, {"ignore_space": True, "strip": False}])
async def test_the_options_of_exact_keep_it_too(settings: dict[str, Any]) -> None:
    await check_scorer(Exact, settings, case=CASE)


class NoVersion(Exact):
    version = 0


class Moody(Exact):
    def __init__(self, settings: ExactSettings) -> None:
        super().__init__(settings)
        self._turn = 0

    async def score(self, case: Case, reply: Reply) -> Score:
        self._turn += 1
        return Score(value=self._turn % 2)


class Fragile(Exact):
    async def score(self, case: Case, reply: Reply) -> Score:
        return Score(value=float(reply.text == "a reply") / len(reply.text))


class Plain(Exact):
    async def score(self, case: Case, reply: Reply) -> Any:
        return 1.0


class OutOfRange(Exact):
    async def score(self, case: Case, reply: Reply) -> Score:
        return Score(value=2.0)


class Careless(Exact):
    async def score(self, case: Case, reply: Reply) -> Score:
        case.metadata["seen"] = True  # type: ignore[index]  # the mistake that is to be caught
        return Score(value=1.0)


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (NoVersion, "`version`"),
        (Moody, "scores the same"),
        (Fragile, "not ZeroDivisionError, for ''"),
        (Plain, "gives a Score"),
        (OutOfRange, "not ValueError"),
        (Careless, "case and reply are read, not changed"),
    ],
)
async def test_a_broken_promise_is_named(kind: type[Exact], promise: str) -> None:
    with pytest.raises(ContractBroken, match=promise):
        await check_scorer(kind, {}, case=CASE)
