from typing import Any

import pytest
from pydantic import ValidationError

from probes import ScorerError
from probes.scorers.text import Exact, Includes, Number, Pattern, PatternSettings
from tests.probes.cases import case, reply


async def value(kind: Any, text: str, target: Any = "4", **settings: Any) -> float | None:
    score = await kind(kind.Settings.model_validate(settings)).score(case(target), reply(text))
    found: float | None = score.value
    return found


@pytest.mark.parametrize(
    ("text", "target", "settings", "expected"),
    [
        ("4", "4", {}, 1),
        (" 4\n", "4", {}, 1),
        (" 4", "4", {"strip": False}, 0),
        ("four", ("4", "four"), {}, 1),
        ("Paris", "paris", {}, 0),
        ("PARIS", "paris", {"ignore_case": True}, 1),
        ("STRASSE", "straße", {"ignore_case": True}, 1),
        ("New  York\n City", "New York City", {}, 0),
        ("New  York\n City", "New York City", {"ignore_space": True}, 1),
        ("4.", "4", {}, 0),
        ("", "4", {}, 0),
        ("\u202e4", "4", {}, 0),
        ("4\x00", "4", {}, 0),
    ],
)
async def test_exact(text: str, target: Any, settings: dict[str, Any], expected: float) -> None:
    assert await value(Exact, text, target, **settings) == expected


@pytest.mark.parametrize(
    ("text", "target", "settings", "expected"),
    [
        ("It is Paris.", "Paris", {}, 1),
        ("It is paris.", "Paris", {}, 0),
        ("It is paris.", "Paris", {"ignore_case": True}, 1),
        ("It is Rome.", ("Paris", "Rome"), {}, 1),
        ("", "Paris", {}, 0),
    ],
)
async def test_includes(text: str, target: Any, settings: dict[str, Any], expected: float) -> None:
    assert await value(Includes, text, target, **settings) == expected


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("order 1234 found", {"pattern": r"\d{4}"}, 1),
        ("order 12 found", {"pattern": r"\d{4}"}, 0),
        ("order 1234", {"pattern": r"\d{4}", "full": True}, 0),
        ("1234", {"pattern": r"\d{4}", "full": True}, 1),
        ("YES", {"pattern": "yes"}, 0),
        ("YES", {"pattern": "yes", "ignore_case": True}, 1),
        ("Answer: 4 ", {"pattern": "Answer:(.*)", "group": 1}, 1),
        ("Answer: 5", {"pattern": "Answer:(?P<n>.*)", "group": "n"}, 0),
        ("A", {"pattern": "A(4)?", "group": 1}, 0),
    ],
)
async def test_pattern(text: str, settings: dict[str, Any], expected: float) -> None:
    assert await value(Pattern, text, **settings) == expected


async def test_a_pattern_without_a_group_needs_no_target() -> None:
    assert await value(Pattern, "abc", None, pattern="b") == 1


@pytest.mark.parametrize("length", [40, 100_000])
async def test_a_pattern_that_explodes_gives_no_score_and_says_so(length: int) -> None:
    scorer = Pattern(PatternSettings(pattern=r"(a|aa)+$", timeout=0.02))
    score = await scorer.score(case(), reply("a" * length + "b"))
    assert (score.value, score.reason) == (None, "pattern_timeout")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pattern": "("}, "not a regular expression"),
        ({"pattern": ""}, "at least 1 character"),
        ({"pattern": "a", "group": 1}, "no group 1"),
        ({"pattern": "a", "group": "n"}, "no group 'n'"),
        ({"pattern": "a", "timeout": 0}, "greater than 0"),
    ],
)
def test_a_bad_pattern_is_refused_at_once(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        PatternSettings.model_validate(settings)


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("4", "4", 1),
        ("The answer is 4.", "4", 1),
        ("2 + 2 = 4", "4", 1),
        ("4.0", "4", 1),
        ("5", "4", 0),
        ("1,234,567.5", "1234567.5", 1),
        ("1'234", "1234", 1),
        ("1\u202f234", "1234", 1),
        ("$1,234", "$1234", 1),
        ("12,34", "34", 1),
        ("2020,2021", "2021", 1),
        ("-3", "-3", 1),
        ("\u22123", "-3", 1),
        ("x=-3", "-3", 1),
        ("3", "-3", 0),
        ("10-5", "5", 1),
        ("GPT-4 says 7", "7", 1),
        ("v2", "2", 0),
        ("1e5", "100000", 1),
        ("1.5E-3", "0.0015", 1),
        ("1.2 × 10^5", "120000", 1),
        ("1.2x10**-5", "0.000012", 1),
        ("3 x 10", "10", 1),
        (".5", "0.5", 1),
        ("45%", "45", 1),
        ("45 %", "0.45", 1),
        ("0.45", "45%", 1),
        ("45%", "45%", 1),
        ("0.45%", "45%", 0),
        ("5kg", "5", 1),
        ("\\boxed{42}", "42", 1),
        ("٤", "4", 1),
        ("no number here", "4", 0),
        ("", "4", 0),
        ("inf", "4", 0),
        ("1e999", "4", 0),
        ("9" * 1000, "4", 0),
        ("four", ("x", "4"), 0),
        ("3 or 4", ("7", "4"), 1),
    ],
)
async def test_number(text: str, target: Any, expected: float) -> None:
    assert await value(Number, text, target) == expected


async def test_the_first_number_counts_where_it_is_wanted() -> None:
    assert await value(Number, "4 because 2 + 2", which="first") == 1
    assert await value(Number, "4 because 2 + 2") == 0


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("4.05", {"abs_tolerance": 0.1}, 1),
        ("4.2", {"abs_tolerance": 0.1}, 0),
        ("4.05", {"rel_tolerance": 0.02}, 1),
        ("4.2", {"rel_tolerance": 0.02}, 0),
        ("4.0000000001", {}, 1),
    ],
)
async def test_a_number_may_lie_within_the_tolerance(
    text: str, settings: dict[str, Any], expected: float
) -> None:
    assert await value(Number, text, **settings) == expected


@pytest.mark.parametrize("kind", [Exact, Includes, Number])
async def test_a_case_without_a_target_cannot_be_judged(kind: Any) -> None:
    with pytest.raises(ScorerError, match="c1 has no target"):
        await value(kind, "4", None)


async def test_a_target_that_is_no_number_is_an_error_of_the_case() -> None:
    with pytest.raises(ScorerError, match="not a number"):
        await value(Number, "4", "Paris")
