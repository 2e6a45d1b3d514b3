from typing import Any

import pytest
from pydantic import ValidationError

from probes import Score, ScorerError
from probes.contract import check_scorer
from probes.scorers.choice import Choice, ChoiceSettings
from tests.probes.cases import case, reply

CITIES = ["London", "Paris", "Rome", "New Paris"]


async def picks(text: str, target: Any = "B", offered: Any = CITIES, **settings: Any) -> Score:
    of = case(target, metadata={"choices": offered} if offered else {})
    return await Choice(ChoiceSettings.model_validate(settings)).score(of, reply(text))


@pytest.mark.parametrize(
    "text",
    [
        "B",
        " b. ",
        "(B)",
        "**B**",
        "B) Paris",
        "B. Paris",
        "B: Paris",
        "B - Paris",
        "**B) Paris**",
        "Paris",
        "paris.",
        "The answer is (B)",
        "The answer is (B).",
        "The answer is **B**.",
        "The answer is b.",
        "Answer: B",
        "**Answer:** B",
        "Answer:\n\nB",
        "The correct answer is: **(B) Paris**",
        "The correct choice would be option B, because of the tower.",
        "Therefore the final answer is $\\boxed{B}$.",
        "$\\boxed{\\text{B}}$",
        "The best answer here would be B, not Rome.",
        "The answer to this question is (B).",
        "Choice A is wrong; the answer is B.",
        "<answer>B</answer>",
        "答案是B",
        "I pick option B.",
        "B is correct.",
        "I think B is the right one",
        "A good question. It must be **B**.",
        "It is Paris, of course.",
        "A) London\nB) Paris\nC) Rome\n\nThe answer is B.",
        "It is not (A). Answer: B",
        "It's not A, so B",
        "Not London: Paris is what I would not exclude.\nAnswer: (B)",
    ],
)
async def test_a_pick_is_read_however_it_is_written(text: str) -> None:
    score = await picks(text)
    assert (score.value, score.evidence["picked"]) == (1, ["B"])


@pytest.mark.parametrize(
    ("text", "picked"),
    [
        ("", []),
        ("I would rather not say.", []),
        ("A good answer takes time.", []),
        ("I cannot choose.", []),
        ("All of these cities are nice.", []),
        ("A or B", ["A", "B"]),
        ("The answer is (A) or (B).", ["A", "B"]),
        ("The answer is A and B", ["A", "B"]),
        ("A) London\nB) Paris", ["A", "B"]),
        ("It is Paris or Rome.", ["B", "C"]),
        ("The answer is A. No, the answer is B.", ["A", "B"]),
        ("The answer is (C).", ["C"]),
        ("New Paris", ["D"]),
        ("The answer is New Paris.", ["D"]),
        ("The answer is (G).", []),
        ("The answer is not B.", []),
    ],
)
async def test_no_pick_two_picks_and_another_pick_are_wrong(text: str, picked: list[str]) -> None:
    score = await picks(text)
    assert (score.value, score.evidence["picked"]) == (0, picked)
    assert bool(score.explanation) is (len(picked) != 1)


async def test_the_options_may_stand_in_the_parameters() -> None:
    assert (await picks("It is Rome.", "Rome", None, choices=["Paris", "Rome"])).evidence["picked"] == ["B"]


@pytest.mark.parametrize("target", ["B", "b", "(B)", "Paris", ("D", "Paris")])
async def test_the_target_is_a_letter_or_an_options_text(target: Any) -> None:
    assert (await picks("The answer is B.", target)).value == 1


async def test_without_the_options_texts_letters_are_enough() -> None:
    assert (await picks("The answer is (E).", "E", None)).value == 1
    assert (await picks("C", "E", None)).value == 0


@pytest.mark.parametrize("text", ["2", "2) Paris", "The answer is 2.", "Answer: **2**", "option 2", "Paris"])
async def test_options_may_have_numbers(text: str) -> None:
    score = await picks(text, "2", CITIES, labels="numbers")
    assert score.value == 1


async def test_a_decimal_is_no_option() -> None:
    assert (await picks("About 2.5 of them", "2", None, labels="numbers")).evidence["picked"] == []


@pytest.mark.parametrize(("text", "expected"), [("*", 1), ("", 0), ("The answer is B", 1), ("+", 0)])
async def test_an_option_may_be_a_lone_sign(text: str, expected: float) -> None:
    assert (await picks(text, "*", ["+", "*"])).value == expected


async def test_ten_options_go_to_j() -> None:
    assert (await picks("The answer is (J)", "J", [f"choice number {n}" for n in range(10)])).value == 1


@pytest.mark.parametrize(
    ("target", "choices", "told"),
    [
        ("Madrid", CITIES, "'Madrid' is no option; write one of A to D or an option's text"),
        (None, CITIES, "no target"),
        ("B", "London, Paris", "not a list"),
        ("B", [1, 2], "not a list"),
        ("B", ["London", " "], "not a list"),
        ("B", ["x"] * 27, "more than 26"),
    ],
)
async def test_a_case_that_cannot_be_judged_says_why(target: Any, choices: Any, told: str) -> None:
    with pytest.raises(ScorerError, match=told):
        await picks("B", target, choices)


def test_one_option_is_no_choice() -> None:
    with pytest.raises(ValidationError, match="at least 2"):
        ChoiceSettings.model_validate({"choices": ["x"]})


@pytest.mark.parametrize("labels", ["letters", "numbers"])
async def test_the_contract_holds_where_there_are_options(labels: str) -> None:
    of = case("Paris", metadata={"choices": CITIES})
    await check_scorer(Choice, {"labels": labels}, case=of, reply="The answer is Paris.")


@pytest.mark.parametrize(
    "text",
    [
        "A) " * 20_000,
        "answer " * 9_000,
        "answer is " * 6_000,
        "I " * 30_000,
        "Paris " * 10_000,
        "a" + " " * 60_000,
    ],
)
async def test_a_hostile_reply_is_scored(text: str) -> None:
    assert (await picks(text)).value in (0, 1)
