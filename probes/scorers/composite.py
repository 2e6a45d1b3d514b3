"""The scorer `composite`: several scores put together by a rule."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from probes.case import Case, JsonObject
from probes.errors import ScorerError
from probes.reply import Reply
from probes.scorer import Needs, Parts, Score, Scorer

#: Why there is no score: a part has none.
PART_MISSING = "part_missing"


class CompositePart(BaseModel):
    """A scorer with its parameters, written as `exact` or as `{length: {max: 50}}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, written: Any) -> Any:
        if isinstance(written, str):
            return {"kind": written}
        if not isinstance(written, dict) or len(written) != 1:
            raise ValueError("is no scorer; write its name, or {name: {parameter: value}}")
        [(kind, params)] = written.items()
        return {"kind": kind, "params": {} if params is None else params}


class CompositeSettings(BaseModel):
    """Parameters of `composite`.

    Attributes:
        rule: `weighted`: the weighted mean; `all`: the lowest part, so 1 where all are right; `any`: the highest,
            so 1 where one is right; `gate`: 0 where the first part is below `opens_at`, else the weighted mean
            of the others, which are not asked before.
        parts: The scorers, at least two.
        weights: One for each part, in the same order, for `weighted` and `gate` (the first of a gate's is not
            used); all equal if absent.
        opens_at: The score at which a gate opens.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Literal["weighted", "all", "any", "gate"] = "weighted"
    parts: tuple[CompositePart, ...] = Field(min_length=2, max_length=20)
    weights: tuple[float, ...] | None = None
    opens_at: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _a_weight_for_each(self) -> Self:
        weights = self.weights
        if weights is None:
            return self
        if self.rule in ("all", "any"):
            raise ValueError(f"weights mean nothing with rule {self.rule}; take them out")
        if len(weights) != len(self.parts):
            raise ValueError(
                f"there are {len(self.parts)} parts and {len(weights)} weights; give each part one"
            )
        if not all(math.isfinite(weight) and weight > 0 for weight in weights):
            raise ValueError("a weight is a number above 0; take a part out instead of weighing it 0")
        return self


class Composite:
    """Several scores as one. A part without a score leaves the whole without one: nothing is made up."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = False
    Settings: ClassVar[type[BaseModel]] = CompositeSettings

    def __init__(self, settings: CompositeSettings, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts.scorers
        self._weights = settings.weights or (1.0,) * len(settings.parts)

    @classmethod
    def needs(cls, settings: CompositeSettings) -> Needs:
        """Its parts."""
        parts: tuple[tuple[str, JsonObject], ...] = tuple((each.kind, each.params) for each in settings.parts)
        return Needs(scorers=parts)

    async def score(self, case: Case, reply: Reply) -> Score:
        """Scores the parts in order and puts them together.

        Raises:
            ScorerError: A part cannot work with this case.
            EndpointError: An endpoint that a part leans on failed.
        """
        found: list[Score] = []
        for number, part in enumerate(self._parts):
            found.append(await self._part(number, part, case, reply))
            value = found[-1].value
            if value is None:
                return self._without(found)
            if self._settings.rule == "gate" and not number and value < self._settings.opens_at:
                why = f"the gate {self._name(0)} stays closed: {found[0].explanation}".rstrip(": ")
                return Score(value=0.0, explanation=why, evidence=self._evidence(found))
        values = [score.value for score in found if score.value is not None]
        said = "; ".join(
            f"{self._name(n)}: {each.explanation}" for n, each in enumerate(found) if each.explanation
        )
        return Score(value=self._together(values), explanation=said, evidence=self._evidence(found))

    async def _part(self, number: int, part: Scorer, case: Case, reply: Reply) -> Score:
        try:
            return await part.score(case, reply)
        except ScorerError as error:
            raise ScorerError(f"{self._name(number)}: {error}") from error

    def _together(self, values: Sequence[float]) -> float:
        if self._settings.rule == "all":
            return min(values)
        if self._settings.rule == "any":
            return max(values)
        first = 1 if self._settings.rule == "gate" else 0
        weights = self._weights[first:]
        total = math.fsum(weight * value for weight, value in zip(weights, values[first:], strict=True))
        return min(1.0, total / math.fsum(weights))

    def _without(self, found: Sequence[Score]) -> Score:
        last = found[-1]
        why = f"{self._name(len(found) - 1)} has no score ({last.reason}): {last.explanation}".rstrip(": ")
        return Score(value=None, reason=PART_MISSING, explanation=why, evidence=self._evidence(found))

    def _evidence(self, found: Sequence[Score]) -> JsonObject:
        return {
            "rule": self._settings.rule,
            "parts": [
                {"scorer": self._name(n), "value": each.value, "evidence": dict(each.evidence)}
                for n, each in enumerate(found)
            ],
        }

    def _name(self, number: int) -> str:
        return self._settings.parts[number].kind
