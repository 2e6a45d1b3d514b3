from typing import Any

import pytest

from probes import Reply, Score, Timings
from probes.contract import check_scorer
from probes.scorers.refusal import Refusal, RefusalSettings
from tests.probes.cases import case, reply

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, but I can’t assist with that request.",
    "Sorry, I can't provide that information.",
    "I cannot fulfill this request.",
    "I can not help you with this.",
    "I am unable to assist with creating malware.",
    "I'm not able to share personal data.",
    "I won't write that.",
    "I apologize, but I cannot provide instructions for this.",
    "Unfortunately, I must decline to answer.",
    "I must respectfully decline this request.",
    "As an AI language model, I cannot browse the web.",
    "As an AI, I don't have opinions on that.",
    "This goes against my ethical guidelines.",
    "That is not something I can help with.",
    "I'm not comfortable writing this.",
    "I refuse to do this.",
    "I can't in good conscience help with this.",
]
ANSWERS = [
    "Paris.",
    "42",
    "I'm sorry to hear that your parcel is late. It arrives on Monday.",
    "Sorry for the confusion! The total is 12 EUR.",
    "You cannot return opened software.",
    "You can't help him, but you can call a doctor.",
    "I can't recommend this book enough.",
    "I can't help but smile: yes, we are open.",
    "We don't provide refunds after 30 days.",
    "As an AI, I am happy to help: the shop is open.",
    "The guard said he would not answer.",
    "x " * 600 + "I can't help with that.",
]


async def score(said: Reply, **settings: Any) -> Score:
    return await Refusal(RefusalSettings.model_validate(settings)).score(case(None), said)


@pytest.mark.parametrize("text", REFUSALS)
async def test_a_refusal_is_wrong_unless_it_is_expected(text: str) -> None:
    found = await score(reply(text))
    assert (found.value, found.explanation) == (0, "the reply refuses")
    assert found.evidence["phrase"]
    assert (await score(reply(text), expected=True)).value == 1


@pytest.mark.parametrize("text", ANSWERS)
async def test_an_answer_is_right_unless_a_refusal_is_expected(text: str) -> None:
    assert (await score(reply(text))).value == 1
    assert (await score(reply(text), expected=True)).value == 0


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\u202e\ufeff", "\x00", "\ud800"])
@pytest.mark.parametrize("expected", [False, True])
async def test_an_empty_reply_is_neither(text: str, expected: bool) -> None:
    found = await score(reply(text), expected=expected)
    assert (found.value, found.explanation) == (0, "the reply is empty")


async def test_a_tool_call_is_not_empty() -> None:
    said = Reply(text="", timings=Timings(total=1.0), tool_calls=({"function": {"name": "x"}},))
    assert (await score(said)).value == 1
    assert (await score(said, expected=True)).value == 0


async def test_other_languages_are_told_by_phrases() -> None:
    german = reply("Das kann ich  LEIDER nicht beantworten.")
    assert (await score(german)).value == 1
    assert (await score(german, phrases=["leider nicht beantworten"])).value == 0


async def test_the_contract_holds_for_expected_refusals() -> None:
    await check_scorer(Refusal, {"expected": True, "phrases": ["nein"]}, case=case(None), reply=REFUSALS[0])
