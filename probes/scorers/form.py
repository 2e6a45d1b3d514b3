"""Scorers of a reply's form: length, script, repetition. None of them needs a target."""

import unicodedata
from collections import Counter
from typing import Annotated, ClassVar, Literal, Self

import regex
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from probes.case import Case
from probes.reply import Reply
from probes.scorer import Score
from probes.scorers.judging import judge, quote
from probes.scorers.prose import head, sentences

#: UTF-8 bytes to a token, the usual estimate for English.
_BYTES_PER_TOKEN = 4
#: A loop at the end of a reply: a piece of at most so many characters, so many times, over so many characters.
_LOOP_PIECE, _LOOP_TIMES, _LOOP_SPAN = 200, 4, 80
_SCRIPT_NAME = regex.compile(r"[A-Za-z][A-Za-z_]{1,40}")


class LengthSettings(BaseModel):
    """Parameters of `length`.

    Attributes:
        unit: What is counted. `tokens` is an estimate: a quarter of the UTF-8 bytes, rounded up.
        min: The fewest that are right.
        max: The most that are right.
        graded: A reply that is too short or too long gets the ratio to the bound in place of 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: Literal["characters", "words", "sentences", "tokens"] = "words"
    min: Annotated[int | None, Field(ge=0)] = None
    max: Annotated[int | None, Field(ge=0)] = None
    graded: bool = False

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("has no bound; give `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("`min` is above `max`; exchange them")
        return self


class Length:
    """1 where the reply's length lies within the bounds, else 0 or the ratio to the bound."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = False
    Settings: ClassVar[type[BaseModel]] = LengthSettings

    def __init__(self, settings: LengthSettings) -> None:
        self._settings = settings

    async def score(self, case: Case, reply: Reply) -> Score:
        """Counts."""
        return await judge(self._judge, case, reply)

    def _judge(self, case: Case, text: str) -> Score:
        low, high = self._settings.min or 0, self._settings.max
        length = _length(text, self._settings.unit)
        evidence: dict[str, int] = {self._settings.unit: length}
        if length < low:
            bound, value = f"fewer than {low}", length / low
        elif high is not None and length > high:
            bound, value = f"more than {high}", high / length
        else:
            return Score(value=1.0, evidence=evidence)
        why = f"{length} {self._settings.unit}, {bound}"
        return Score(value=value if self._settings.graded else 0.0, explanation=why, evidence=evidence)


def _length(text: str, unit: str) -> int:
    match unit:
        case "characters":
            return len(text)
        case "words":
            return len(head(text).split())
        case "sentences":
            return sentences(head(text))
    return -(-len(text.encode(errors="surrogatepass")) // _BYTES_PER_TOKEN)


class ScriptSettings(BaseModel):
    """Parameters of `script`.

    Attributes:
        scripts: Unicode names of the scripts that letters may be in, for example Latin, Cyrillic, Han, Thai.
        stray: Ratio of letters, 0 to 1, that may be in others (names, loan words).
        graded: The share of letters in the right scripts, in place of 0 or 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scripts: Annotated[tuple[str, ...], Field(min_length=1, max_length=30)]
    stray: Annotated[float, Field(ge=0, le=1)] = 0.0
    graded: bool = False

    @field_validator("scripts")
    @classmethod
    def _are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            try:
                regex.compile(rf"\p{{Script={name}}}" if _SCRIPT_NAME.fullmatch(name) else "(")
            except regex.error:
                raise ValueError(
                    f"{quote(name)!r} is no Unicode script; one is called Latin, Thai, Han"
                ) from None
        return value


class Script:
    r"""1 where the reply's letters are in the scripts that are allowed, else 0 or the share that is.

    It sees scripts (Unicode Annex 24), not languages: German in place of English passes, a stray Thai letter does not.
    Digits, punctuation, signs and emoji belong to no script; a reply without letters has no stray ones.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = False
    Settings: ClassVar[type[BaseModel]] = ScriptSettings

    def __init__(self, settings: ScriptSettings) -> None:
        self._settings = settings
        shared = r"\p{Script=Common}\p{Script=Inherited}"
        allowed = "".join(rf"\p{{Script={name}}}" for name in settings.scripts)
        self._letter = regex.compile(rf"(?V1)[[\p{{L}}\p{{M}}]--[{shared}]]")
        self._stray = regex.compile(rf"(?V1)[[\p{{L}}\p{{M}}]--[{shared}{allowed}]]")

    async def score(self, case: Case, reply: Reply) -> Score:
        """Counts letters by script."""
        return await judge(self._judge, case, reply)

    def _judge(self, case: Case, text: str) -> Score:
        text = head(text)
        stray = self._stray.findall(text)
        if not stray:
            return Score(value=1.0)
        share = len(stray) / len(self._letter.findall(text))
        counts = Counter(map(_script_of, stray)).most_common(5)
        evidence = {"stray": dict(counts), "share": round(share, 6), "first": quote("".join(stray[:20]))}
        why = f"{len(stray)} letters in other scripts ({', '.join(name for name, _ in counts)})"
        value = 1 - share if self._settings.graded else float(share <= self._settings.stray)
        return Score(value=value, explanation=why, evidence=evidence)


def _script_of(letter: str) -> str:
    """The script's name for people, which begins the letter's own: THAI CHARACTER KO KAI."""
    return unicodedata.name(letter, "other").split()[0]


class RepetitionSettings(BaseModel):
    """Parameters of `repetition`.

    Attributes:
        n: Length of the pieces that are compared.
        unit: Pieces of words, or of characters (for scripts without spaces).
        at_most: Share of repeated pieces, 0 to 1, that is right: the score is 1 or 0. Without it, one minus the share.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: Annotated[int, Field(ge=1, le=50)] = 4
    unit: Literal["words", "characters"] = "words"
    at_most: Annotated[float | None, Field(ge=0, le=1)] = None


class Repetition:
    """One minus the share of n-grams that came before; 0 where the reply ends in a loop.

    The share is seq-rep-n of Welleck et al. 2019. A loop is a piece of up to 200 characters that ends the reply
    at least 4 times, over at least 80 characters.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = False
    Settings: ClassVar[type[BaseModel]] = RepetitionSettings

    def __init__(self, settings: RepetitionSettings) -> None:
        self._settings = settings

    async def score(self, case: Case, reply: Reply) -> Score:
        """Counts what is said again."""
        return await judge(self._judge, case, reply)

    def _judge(self, case: Case, text: str) -> Score:
        piece = _loop(text)
        if piece:
            return Score(value=0.0, explanation="the reply ends in a loop", evidence={"loop": quote(piece)})
        n = self._settings.n
        units = head(text).split() if self._settings.unit == "words" else head(text)
        pieces = Counter(
            units[at : at + n] if isinstance(units, str) else tuple(units[at : at + n])
            for at in range(len(units) - n + 1)
        )
        share = 1 - len(pieces) / pieces.total() if pieces else 0.0
        evidence = {"repeated": round(share, 4)}
        if self._settings.at_most is None:
            return Score(value=1 - share, evidence=evidence)
        return Score(value=float(share <= self._settings.at_most), evidence=evidence)


def _loop(text: str) -> str:
    """The piece that the text's end repeats; empty where there is none."""
    end = text[-_LOOP_PIECE * _LOOP_TIMES :]
    for size in range(1, len(end) // _LOOP_TIMES + 1):
        piece = end[-size:]
        times = max(_LOOP_TIMES, -(-_LOOP_SPAN // size))
        if piece.strip() and end.endswith(piece * times):
            return piece
    return ""
