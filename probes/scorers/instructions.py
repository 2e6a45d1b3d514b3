"""The scorer `instructions`: whether the reply keeps to the form that was asked for."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Self

import orjson
import regex
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from probes.case import Case
from probes.reply import Reply
from probes.scorer import Score
from probes.scorers.judging import judge
from probes.scorers.prose import bullets, head, paragraphs, sentences

_Text = Annotated[str, Field(min_length=1, max_length=2_000)]
_Texts = Annotated[tuple[_Text, ...] | None, Field(min_length=1, max_length=100)]
_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "「": "」"}


class Span(BaseModel):
    """How many are right: from `min` to `max`, each of which may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: Annotated[int | None, Field(ge=0)] = None
    max: Annotated[int | None, Field(ge=0)] = None

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("has no bound; give `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("`min` is above `max`; exchange them")
        return self

    def __contains__(self, count: int) -> bool:
        return (self.min or 0) <= count and (self.max is None or count <= self.max)


def _exactly(value: object) -> object:
    """A number in place of the bounds means: just so many."""
    return {"min": value, "max": value} if type(value) is int else value


_Count = Annotated[Span | None, BeforeValidator(_exactly)]


class InstructionsSettings(BaseModel):
    """Parameters of `instructions`: each that is given is one instruction. Letter case counts in none of the texts.

    Attributes:
        starts_with: The reply begins with it.
        ends_with: The reply ends with it (a closing quotation mark behind it does not count).
        contains: All of these words or phrases occur.
        forbids: None of these words or phrases occurs.
        paragraphs: How many pieces between empty lines: a number, or `min` and `max`.
        bullets: How many bullet points.
        sentences: How many sentences.
        uppercase: No lower-case letter, and at least one in upper case.
        lowercase: No upper-case letter, and at least one in lower case.
        no_commas: No comma.
        json_only: One JSON value and nothing else, but for a code fence around it.
        quoted: The whole reply stands in double quotation marks.
        graded: The share of instructions that are kept, in place of 1 for all and 0 else.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    starts_with: _Text | None = None
    ends_with: _Text | None = None
    contains: _Texts = None
    forbids: _Texts = None
    paragraphs: _Count = None
    bullets: _Count = None
    sentences: _Count = None
    uppercase: bool = False
    lowercase: bool = False
    no_commas: bool = False
    json_only: bool = False
    quoted: bool = False
    graded: bool = False

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not any(
            getattr(self, name) not in (None, False) for name in type(self).model_fields if name != "graded"
        ):
            raise ValueError("holds no instruction; name at least one, like `no_commas: true`")
        return self


class Instructions:
    """1 where the reply keeps every instruction, else 0 or the share that it keeps.

    The checks are a part of IFEval's (Zhou et al. 2023): 0 or 1 is its accuracy by prompt, `graded` that by
    instruction. Paragraphs are parted by empty lines, where IFEval asks for `***`.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = False
    Settings: ClassVar[type[BaseModel]] = InstructionsSettings

    def __init__(self, settings: InstructionsSettings) -> None:
        self._settings = settings
        self._contains = tuple(_phrase(word) for word in settings.contains or ())
        self._forbids = tuple(_phrase(word) for word in settings.forbids or ())

    async def score(self, case: Case, reply: Reply) -> Score:
        """Checks each instruction."""
        return await judge(self._judge, case, reply)

    def _judge(self, case: Case, text: str) -> Score:
        body = head(text)
        kept = dict([*self._wording(text, body), *self._counts(body), *self._shape(text, body)])
        broken = [name for name, holds in kept.items() if not holds]
        share = 1 - len(broken) / len(kept)
        why = f"not kept: {', '.join(broken)}" if broken else ""
        return Score(
            value=share if self._settings.graded else float(not broken),
            explanation=why,
            evidence={"instructions": len(kept), "broken": broken},
        )

    def _wording(self, text: str, body: str) -> Iterator[tuple[str, bool]]:
        wanted = self._settings
        if wanted.starts_with is not None:
            start = wanted.starts_with.strip().casefold()
            yield "starts_with", body.lstrip()[: 2 * len(start)].casefold().startswith(start)
        if wanted.ends_with is not None:
            end = wanted.ends_with.strip().casefold()
            tail = text[-len(body) :].strip().strip('"”“»').rstrip()
            yield "ends_with", tail[-2 * len(end) - 2 :].casefold().endswith(end)
        if self._contains:
            yield "contains", all(phrase.search(body) for phrase in self._contains)
        if self._forbids:
            yield "forbids", not any(phrase.search(body) for phrase in self._forbids)

    def _counts(self, body: str) -> Iterator[tuple[str, bool]]:
        for name, count in (("paragraphs", paragraphs), ("bullets", bullets), ("sentences", sentences)):
            wanted: Span | None = getattr(self._settings, name)
            if wanted is not None:
                yield name, count(body) in wanted

    def _shape(self, text: str, body: str) -> Iterator[tuple[str, bool]]:
        wanted = self._settings
        if wanted.uppercase:
            yield "uppercase", body.isupper()
        if wanted.lowercase:
            yield "lowercase", body.islower()
        if wanted.no_commas:
            yield "no_commas", not any(comma in text for comma in ",，、،")
        if wanted.json_only:
            yield "json_only", _is_json(text)
        if wanted.quoted:
            whole = text.strip()
            yield "quoted", len(whole) > 1 and _QUOTES.get(whole[0]) == whole[-1]


def _phrase(words: str) -> regex.Pattern[str]:
    """The words as whole words, any white space between them."""
    spaced = r"\s+".join(map(regex.escape, words.split()))
    return regex.compile(rf"(?<!\w){spaced}(?!\w)", regex.IGNORECASE)


def _is_json(text: str) -> bool:
    body = text.strip()
    if body.startswith("```") and body.endswith("```"):
        body = body[3:-3].removeprefix("json").removeprefix("JSON")
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True
