from typing import Any

import pytest
from pydantic import ValidationError

from probes import Score
from probes.contract import check_scorer
from probes.scorers.instructions import Instructions, InstructionsSettings
from tests.probes.cases import case, reply


async def score(text: str, **settings: Any) -> Score:
    return await Instructions(InstructionsSettings.model_validate(settings)).score(case(None), reply(text))


@pytest.mark.parametrize(
    ("settings", "kept", "broken"),
    [
        ({"starts_with": "Dear Sir"}, "\nDEAR SIR, hello", "Hello, Dear Sir"),
        ({"ends_with": "Any other questions?"}, '"Fine. any other questions?" ', "Any other questions? No"),
        ({"ends_with": "straße"}, "STRASSE", "STRASSEN"),
        ({"contains": ["New  York", "cat"]}, "A Cat in New\nYork", "Cats in New York"),
        ({"forbids": ["no", "never ever"]}, "I know nothing, never", "Never  ever!"),
        ({"forbids": ["C++"]}, "I like C.", "I like c++."),
        ({"paragraphs": 2}, "one\n\n \n\ntwo\nstill two\n", "one\ntwo"),
        ({"bullets": 3}, "List:\n* one\n - two\n3. three", "* one\n* two"),
        ({"bullets": {"min": 1, "max": 2}}, "- one\n- two", "-- one\n**two**"),
        ({"sentences": {"min": 2}}, "One. Two.", "One, two."),
        ({"sentences": {"max": 1}}, "One, 2.5.", "One. Two."),
        ({"uppercase": True}, "ALL CAPS 1!", "All CAPS"),
        ({"uppercase": True}, "ÜBER", "12"),
        ({"lowercase": True}, "all small, 1.", "aLl"),
        ({"no_commas": True}, "one two; three", "one, two"),
        ({"no_commas": True}, "one", "一，二"),
        ({"json_only": True}, '```json\n{"a": [1]}\n```\n', 'Here: {"a": 1}'),
        ({"json_only": True}, ' {"a": 1} ', "```json\n{\n```"),
        ({"quoted": True}, ' "all of it" ', '"'),
        ({"quoted": True}, "“all of it”", '"some" of it'),
    ],
)
async def test_an_instruction_is_kept_or_not(settings: dict[str, Any], kept: str, broken: str) -> None:
    assert (await score(kept, **settings)).value == 1
    found = await score(broken, **settings)
    assert (found.value, found.evidence["broken"]) == (0, list(settings))
    assert found.explanation == f"not kept: {next(iter(settings))}"


@pytest.mark.parametrize(("graded", "expected"), [(False, 0), (True, 2 / 3)])
async def test_all_must_be_kept_unless_the_share_is_asked_for(graded: bool, expected: float) -> None:
    found = await score("YES, INDEED.", uppercase=True, sentences=1, no_commas=True, graded=graded)
    assert found.value == pytest.approx(expected)
    assert found.evidence == {"instructions": 3, "broken": ["no_commas"]}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"graded": True},
        {"no_commas": False},
        {"bullets": {}},
        {"bullets": {"min": 3, "max": 2}},
        {"contains": []},
    ],
)
def test_settings_that_ask_for_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InstructionsSettings.model_validate(settings)


EVERYTHING: dict[str, Any] = {
    "starts_with": "a",
    "ends_with": "b",
    "contains": ["new york"],
    "forbids": ["c d"],
    "paragraphs": 1,
    "bullets": {"min": 1},
    "sentences": {"max": 3},
    "uppercase": True,
    "lowercase": True,
    "no_commas": True,
    "json_only": True,
    "quoted": True,
    "graded": True,
}


async def test_the_contract_holds_for_every_instruction_at_once() -> None:
    await check_scorer(Instructions, EVERYTHING, case=case(None))


@pytest.mark.parametrize(
    "text", ["." * 60_000 + "x", "new " * 15_000, "\n" * 60_000, "- " * 30_000, "```" * 20_000]
)
async def test_a_hostile_reply_is_scored(text: str) -> None:
    assert (await score(text, **EVERYTHING)).value is not None
