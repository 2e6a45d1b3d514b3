"""composite: several scores as one, and what becomes of the whole where a part has none."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from probes import Case, Message, Parts, Reply, Score, ScorerError, Timings
from probes.errors import ServerFailed
from probes.scorers.composite import Composite, CompositeSettings

CASE = Case(id="c1", messages=(Message(role="user", content="?"),))
REPLY = Reply(text="yes", timings=Timings(total=1.0))


class Given:
    """A scorer whose score is given; it counts how often it was asked."""

    def __init__(self, score: float | Exception | None) -> None:
        self.given = score
        self.asked = 0

    async def score(self, case: Case, reply: Reply) -> Score:
        self.asked += 1
        if isinstance(self.given, Exception):
            raise self.given
        reason = "pattern_timeout" if self.given is None else None
        return Score(value=self.given, reason=reason, explanation=f"gave {self.given}")


def composite(*scores: float | Exception | None, **settings: Any) -> tuple[Composite, list[Given]]:
    given = [Given(score) for score in scores]
    written = {"parts": [f"part-{n}" for n in range(len(scores))], **settings}
    made = Composite(CompositeSettings.model_validate(written), Parts(scorers=tuple(given)))  # type: ignore[arg-type]  # a scorer needs no more here
    return made, given


@pytest.mark.parametrize(
    ("settings", "scores", "whole"),
    [
        ({}, (1.0, 0.0), 0.5),
        ({"weights": [3, 1]}, (1.0, 0.0), 0.75),
        ({"rule": "all"}, (1.0, 1.0, 1.0), 1.0),
        ({"rule": "all"}, (1.0, 0.4, 1.0), 0.4),
        ({"rule": "any"}, (0.0, 1.0, 0.0), 1.0),
        ({"rule": "any"}, (0.0, 0.3), 0.3),
        ({"rule": "gate"}, (1.0, 0.6, 0.8), 0.7),
        ({"rule": "gate", "weights": [9, 1, 3]}, (1.0, 0.0, 1.0), 0.75),
        ({"rule": "gate", "opens_at": 0.5}, (0.5, 0.9), 0.9),
        ({"rule": "gate"}, (0.9, 1.0), 0.0),
    ],
)
async def test_the_rule_puts_the_parts_together(
    settings: Mapping[str, Any], scores: tuple[float, ...], whole: float
) -> None:
    scorer, _ = composite(*scores, **settings)
    assert (await scorer.score(CASE, REPLY)).value == pytest.approx(whole)


async def test_behind_a_closed_gate_nothing_is_asked() -> None:
    scorer, given = composite(0.0, 1.0, rule="gate")
    score = await scorer.score(CASE, REPLY)
    assert score.explanation == "the gate part-0 stays closed: gave 0.0"
    assert [each.asked for each in given] == [1, 0]


@pytest.mark.parametrize("rule", ["weighted", "all", "any", "gate"])
async def test_a_missing_part_leaves_the_whole_without_a_score(rule: str) -> None:
    scorer, _ = composite(1.0, None, 1.0, rule=rule)
    score = await scorer.score(CASE, REPLY)
    assert (score.value, score.reason) == (None, "part_missing")
    assert "part-1 has no score (pattern_timeout)" in score.explanation


async def test_the_evidence_shows_each_part() -> None:
    scorer, _ = composite(1.0, 0.5)
    evidence = (await scorer.score(CASE, REPLY)).evidence
    assert [(each["scorer"], each["value"]) for each in evidence["parts"]] == [
        ("part-0", 1.0),
        ("part-1", 0.5),
    ]


async def test_a_part_that_cannot_judge_is_named() -> None:
    scorer, _ = composite(1.0, ScorerError("it has no target"))
    with pytest.raises(ScorerError, match="part-1: it has no target"):
        await scorer.score(CASE, REPLY)


async def test_a_judge_that_is_down_stays_the_judges_failure() -> None:
    scorer, _ = composite(1.0, ServerFailed("HTTP 500"))
    with pytest.raises(ServerFailed):
        await scorer.score(CASE, REPLY)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"parts": ["exact"]}, "at least 2"),
        ({"parts": ["exact", 3]}, "is no scorer"),
        ({"parts": ["exact", {"length": {}, "json": {}}]}, "is no scorer"),
        ({"parts": ["exact", "json"], "weights": [1]}, "2 parts and 1 weights"),
        ({"parts": ["exact", "json"], "weights": [1, 0]}, "above 0"),
        ({"parts": ["exact", "json"], "weights": [1, float("inf")]}, "above 0"),
        ({"parts": ["exact", "json"], "rule": "all", "weights": [1, 1]}, "mean nothing"),
        ({"parts": ["exact", "json"], "rule": "gate", "opens_at": 0}, "greater than 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        CompositeSettings.model_validate(settings)
