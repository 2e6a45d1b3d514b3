"""The scorers `llm-judge` and `rubric`: another endpoint grades the reply."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from probes.case import Case
from probes.reply import Reply
from probes.scorer import Needs, Parts, Score
from probes.scorers.verdict import PROMPT_VERSION, Criterion, NoVerdict, question, read

_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=4_000)]
_Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]

_USUAL = "The reply answers the request correctly and completely, and stays with what was asked."


class _JudgeSettings(BaseModel):
    """What every judge has.

    Attributes:
        endpoint: Who judges: the name of an endpoint, with limits, price and parameters of its own.
        show_target: Whether the judge sees the case's target as a reference answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str
    show_target: bool = True


class LlmJudgeSettings(_JudgeSettings):
    """Parameters of `llm-judge`.

    Attributes:
        criteria: What makes a reply good, in words.
        points: The most points; the score is the share that was given.
    """

    criteria: _Words = _USUAL
    points: int = Field(10, ge=1, le=100)


class RubricLine(BaseModel):
    """One line of a rubric.

    Attributes:
        name: A short key, shown beside its points.
        text: What earns the points.
        points: The most that it can earn.
        weight: Its share in the score, relative to the other lines'.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Key
    text: _Words
    points: int = Field(5, ge=1, le=100)
    weight: float = Field(1.0, gt=0, allow_inf_nan=False)


class RubricSettings(_JudgeSettings):
    """Parameters of `rubric`.

    Attributes:
        criteria: Its lines; all are graded in one question.
    """

    criteria: tuple[RubricLine, ...] = Field(min_length=1, max_length=20)

    @field_validator("criteria")
    @classmethod
    def _named_once(cls, criteria: tuple[RubricLine, ...]) -> tuple[RubricLine, ...]:
        names = [each.name for each in criteria]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{twice} is the name of two lines; give each its own")
        return criteria


class _Judge:
    """Asks the judge and makes a score of its verdict."""

    def __init__(self, settings: _JudgeSettings, parts: Parts, lines: tuple[RubricLine, ...]) -> None:
        self._settings = settings
        self._client = parts.clients[settings.endpoint]
        self._lines = lines
        self._criteria = tuple(
            Criterion(name=each.name, text=each.text, points=each.points) for each in lines
        )

    async def score(self, case: Case, reply: Reply) -> Score:
        """Asks for a verdict; an answer that is none gives None with a reason.

        Raises:
            EndpointError: The judge failed, or was not asked.
        """
        asked = question(self._criteria, case, reply, show_target=self._settings.show_target)
        answer = await self._client.ask(asked.request)
        evidence = {
            "judge": self._settings.endpoint,
            "model": answer.served_model,
            "prompt": asked.prompt,
            "version": PROMPT_VERSION,
            **({"cut": True} if asked.cut else {}),
        }
        try:
            graded = read(answer.text, self._criteria, asked.code)
        except NoVerdict as error:
            hint = "; raise its max_tokens" if answer.finish_reason in _OUT_OF_TOKENS else ""
            return Score(value=None, reason=error.reason, explanation=f"{error}{hint}", evidence=evidence)
        whole = sum(line.weight for line in self._lines)
        value = sum(line.weight * graded[line.name].points / line.points for line in self._lines) / whole
        points = {line.name: f"{graded[line.name].points}/{line.points}" for line in self._lines}
        why = " ".join(
            graded[line.name].reason if len(self._lines) == 1 else f"{line.name}: {graded[line.name].reason}"
            for line in self._lines
        )
        return Score(
            value=min(1.0, value), explanation=why.strip()[:_LONGEST], evidence={**evidence, "points": points}
        )


_OUT_OF_TOKENS = ("length", "max_tokens", "max_output_tokens", "incomplete")
_LONGEST = 1_000


class LlmJudge(_Judge):
    """The share of the points that another endpoint gives, by criteria in words."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = PROMPT_VERSION
    needs_target: ClassVar[bool] = False
    Settings: ClassVar[type[BaseModel]] = LlmJudgeSettings

    def __init__(self, settings: LlmJudgeSettings, parts: Parts) -> None:
        line = RubricLine(name="reply", text=settings.criteria, points=settings.points)
        super().__init__(settings, parts, (line,))

    @classmethod
    def needs(cls, settings: LlmJudgeSettings) -> Needs:
        """The judge."""
        return Needs(endpoints=(settings.endpoint,))


class Rubric(_Judge):
    """The weighted share of the points that another endpoint gives, line by line of a rubric."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = PROMPT_VERSION
    needs_target: ClassVar[bool] = False
    Settings: ClassVar[type[BaseModel]] = RubricSettings

    def __init__(self, settings: RubricSettings, parts: Parts) -> None:
        super().__init__(settings, parts, settings.criteria)

    @classmethod
    def needs(cls, settings: RubricSettings) -> Needs:
        """The judge."""
        return Needs(endpoints=(settings.endpoint,))
