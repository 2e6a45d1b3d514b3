from typing import Any

import pytest
from pydantic import ValidationError

from probes import Score
from probes.contract import check_scorer
from probes.scorers.form import Length, Repetition, Script
from tests.probes.cases import case, reply


async def score(kind: Any, text: str, **settings: Any) -> Score:
    found: Score = await kind(kind.Settings.model_validate(settings)).score(case(None), reply(text))
    return found


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("one two three", {"max": 3}, 1),
        ("one two three", {"max": 2}, 0),
        ("one two three", {"min": 4}, 0),
        ("one two three", {"min": 3, "max": 3}, 1),
        ("", {"max": 3}, 1),
        ("", {"min": 1}, 0),
        ("anything", {"max": 0}, 0),
        ("one two three four", {"max": 3, "graded": True}, 3 / 4),
        ("one two three", {"min": 4, "graded": True}, 3 / 4),
        ("one", {"max": 0, "graded": True}, 0),
        ("naïve", {"unit": "characters", "max": 5}, 1),
        ("naïve!", {"unit": "characters", "max": 5}, 0),
        ("It is 3.5 m. Really? Yes!", {"unit": "sentences", "min": 3, "max": 3}, 1),
        ("你好。再见。", {"unit": "sentences", "min": 2, "max": 2}, 1),
        ("A title\n\nA sentence without an end", {"unit": "sentences", "min": 2, "max": 2}, 1),
        ('He said "no." Then he left...', {"unit": "sentences", "min": 2, "max": 2}, 1),
        ("12345678", {"unit": "tokens", "max": 2}, 1),
        ("123456789", {"unit": "tokens", "max": 2}, 0),
    ],
)
async def test_length(text: str, settings: dict[str, Any], expected: float) -> None:
    assert (await score(Length, text, **settings)).value == expected


async def test_the_length_is_told() -> None:
    found = await score(Length, "one two three", max=2)
    assert (found.explanation, found.evidence) == ("3 words, more than 2", {"words": 3})


@pytest.mark.parametrize("settings", [{}, {"min": 3, "max": 2}, {"max": -1}, {"max": 3, "unit": "lines"}])
def test_bounds_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Length.Settings.model_validate(settings)


@pytest.mark.parametrize(
    ("text", "scripts", "expected"),
    [
        ("Plain English, 100 % of it: café, naïve, Ωhm?", ["Latin"], 0),
        ("Plain English, 100 % of it: café, naïve!", ["Latin"], 1),
        ("cafe\u0301 in two code points", ["Latin"], 1),
        ("The capital is กรุงเทพ.", ["Latin"], 0),
        ("The capital is กรุงเทพ.", ["Latin", "Thai"], 1),
        ("Pаris", ["Latin"], 0),  # a Cyrillic а
        ("東京は日本の首都です。", ["Han", "Hiragana", "Katakana"], 1),
        ("東京は日本の首都です。", ["Han"], 0),
        ("مرحبا", ["Arabic"], 1),
        ("42 + 1 = 43 🙂 → ½", ["Latin"], 1),
        ("", ["Latin"], 1),
        ("Deutsch, not English", ["Latin"], 1),
    ],
)
async def test_script(text: str, scripts: list[str], expected: float) -> None:
    assert (await score(Script, text, scripts=scripts)).value == expected


async def test_stray_thai_in_an_english_answer_is_seen_and_shown() -> None:
    found = await score(Script, "The answer is yes, ครับ, of course.", scripts=["Latin"])
    assert found.value == 0
    assert found.explanation == "4 letters in other scripts (THAI)"
    assert found.evidence == {"stray": {"THAI": 4}, "share": pytest.approx(4 / 26, abs=1e-6), "first": "ครับ"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"stray": 0.2}, 1), ({"stray": 0.1}, 0), ({"graded": True}, 22 / 26)],
)
async def test_a_share_of_other_letters_may_be_allowed_or_graded(settings: Any, expected: float) -> None:
    found = await score(Script, "The answer is yes, ครับ, of course.", scripts=["Latin"], **settings)
    assert found.value == pytest.approx(expected)


@pytest.mark.parametrize("name", ["Klingon", "English", "L", "}(a+)+", "", "Latin}"])
def test_a_script_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="no Unicode script"):
        Script.Settings.model_validate({"scripts": [name]})


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        # Welleck et al. 2019, equation 9: 1 - unique n-grams / n-grams
        ("a b c d", {}, 1),
        ("a b c d a b c d", {}, 4 / 5),
        ("a b a b a", {"n": 1}, 2 / 5),
        ("a b a b a", {"n": 2}, 2 / 4),
        ("abab", {"n": 2, "unit": "characters"}, 2 / 3),
        ("too short", {}, 1),
        ("", {}, 1),
        ("a b c d a b c d", {"at_most": 0.2}, 1),
        ("a b c d a b c d", {"at_most": 0.1}, 0),
    ],
)
async def test_repetition(text: str, settings: dict[str, Any], expected: float) -> None:
    assert (await score(Repetition, text, **settings)).value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "loop"),
    [
        ("A fine answer that goes on and on " + "and on " * 30, "and on "),
        ("哈" * 200, "哈"),
        ("Fine. " + "I will now check the file again, one line after the other.\n" * 4, None),
        ("Fine. " + "=" * 79, ""),
        ("Fine. " + "Yes. " * 3, ""),
    ],
)
async def test_a_reply_that_ends_in_a_loop_is_wrong(text: str, loop: str | None) -> None:
    found = await score(Repetition, text)
    assert (found.value == 0) is (loop != "")
    assert loop is None or found.evidence.get("loop", "") == loop


LONG = [
    "a" * 60_000,
    "a b " * 15_000,
    "." * 60_000 + "x",
    '!""' * 20_000,
    "ก" * 60_000,
    "\n" * 60_000,
    "\n \t" * 20_000,
]


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Length, {"unit": "sentences", "max": 3}),
        (Script, {"scripts": ["Latin"]}),
        (Repetition, {"n": 50}),
        (Repetition, {"unit": "characters"}),
    ],
)
async def test_a_hostile_reply_is_scored(kind: Any, settings: Any, text: str) -> None:
    assert (await score(kind, text, **settings)).value is not None


@pytest.mark.parametrize("unit", ["characters", "words", "sentences", "tokens"])
async def test_the_contract_holds_for_every_unit(unit: str) -> None:
    await check_scorer(Length, {"unit": unit, "max": 5, "graded": True}, case=case(None))
