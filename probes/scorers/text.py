"""Scorers that read a reply as text: exact, includes, pattern, number."""

import asyncio
from typing import Annotated, ClassVar, Literal, Self

import regex
from pydantic import BaseModel, ConfigDict, Field, model_validator

from probes.case import Case
from probes.errors import ScorerError
from probes.reply import Reply
from probes.scorer import Score
from probes.scorers.judging import LONG, judge, quote, targets_of
from probes.scorers.numerals import Numeral, read_number

#: Seconds that a pattern may hold the event loop before it is tried again in a thread.
_AT_ONCE = 0.005


class ExactSettings(BaseModel):
    """Parameters of `exact`.

    Attributes:
        strip: White space around reply and target does not count.
        ignore_case: Upper and lower case are alike (Unicode case folding).
        ignore_space: Any run of white space counts as one space.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    strip: bool = True
    ignore_case: bool = False
    ignore_space: bool = False


class Exact:
    """1 where the reply is one of the targets, else 0."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = True
    Settings: ClassVar[type[BaseModel]] = ExactSettings

    def __init__(self, settings: ExactSettings) -> None:
        self._settings = settings

    async def score(self, case: Case, reply: Reply) -> Score:
        """Compares the whole reply.

        Raises:
            ScorerError: The case has no target.
        """
        return await judge(self._judge, case, reply)

    def _judge(self, case: Case, text: str) -> Score:
        said = self._normal(text)
        return Score(value=float(any(said == self._normal(target) for target in targets_of(case))))

    def _normal(self, text: str) -> str:
        if self._settings.ignore_space:
            text = " ".join(text.split())
        if self._settings.strip:
            text = text.strip()
        return text.casefold() if self._settings.ignore_case else text


class IncludesSettings(BaseModel):
    """Parameters of `includes`: with `ignore_case`, upper and lower case are alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ignore_case: bool = False


class Includes:
    """1 where the reply contains one of the targets, else 0."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = True
    Settings: ClassVar[type[BaseModel]] = IncludesSettings

    def __init__(self, settings: IncludesSettings) -> None:
        self._settings = settings

    async def score(self, case: Case, reply: Reply) -> Score:
        """Looks for each target.

        Raises:
            ScorerError: The case has no target.
        """
        return await judge(self._judge, case, reply)

    def _judge(self, case: Case, text: str) -> Score:
        targets = targets_of(case)
        if self._settings.ignore_case:
            text, targets = text.casefold(), tuple(target.casefold() for target in targets)
        return Score(value=float(any(target in text for target in targets)))


class PatternSettings(BaseModel):
    """Parameters of `pattern`.

    Attributes:
        pattern: A regular expression (the `regex` library's syntax).
        full: It must match the whole reply, not only a part.
        ignore_case: Upper and lower case are alike.
        group: Name or number of a group that must equal one of the case's targets.
        timeout: Seconds of work; a longer search gives no score.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: Annotated[str, Field(min_length=1)]
    full: bool = False
    ignore_case: bool = False
    group: Annotated[int, Field(ge=0)] | str | None = None
    timeout: Annotated[float, Field(gt=0, le=10)] = 0.2

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        try:
            compiled = self.compiled()
        except regex.error as error:
            raise ValueError(
                f"`pattern` is not a regular expression ({error}); correct it; a sign that stands for "
                "itself needs a \\ before it"
            ) from None
        known = self.group in compiled.groupindex if isinstance(self.group, str) else True
        if not known or (isinstance(self.group, int) and self.group > compiled.groups):
            raise ValueError(f"`pattern` has no group {self.group!r}; put ( ) around what is wanted")
        return self

    def compiled(self) -> regex.Pattern[str]:
        """The pattern, ready for use (the library keeps compiled patterns)."""
        return regex.compile(self.pattern, regex.IGNORECASE if self.ignore_case else 0)


class Pattern:
    """1 where the pattern matches (and its group, if one is named, equals a target), else 0."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = False
    Settings: ClassVar[type[BaseModel]] = PatternSettings

    def __init__(self, settings: PatternSettings) -> None:
        self._settings = settings
        compiled = settings.compiled()
        self._find = compiled.fullmatch if settings.full else compiled.search

    async def score(self, case: Case, reply: Reply) -> Score:
        """Searches the reply, within the time limit.

        Raises:
            ScorerError: A group is to be compared and the case has no target.
        """
        try:
            match = await self._search(reply.text)
        except TimeoutError:
            limit = f"the pattern took longer than {self._settings.timeout:g} s"
            return Score(value=None, reason="pattern_timeout", explanation=limit)
        if match is None:
            return Score(value=0.0, explanation="the pattern does not match")
        if self._settings.group is None:
            return Score(value=1.0)
        found = (match[self._settings.group] or "").strip()
        right = any(found == target.strip() for target in targets_of(case))
        return Score(value=float(right), evidence={"found": quote(found)})

    async def _search(self, text: str) -> regex.Match[str] | None:
        if len(text) <= LONG:
            try:
                return self._find(text, timeout=min(_AT_ONCE, self._settings.timeout))
            except TimeoutError:
                pass  # a hard one: once more where it holds up nobody
        return await asyncio.to_thread(self._find, text, timeout=self._settings.timeout, concurrent=True)


class NumberSettings(BaseModel):
    """Parameters of `number`.

    Attributes:
        which: The last number of the reply is the answer, or the first.
        abs_tolerance: How far it may lie from the target.
        rel_tolerance: The same as a ratio of the target; the wider of the two holds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    which: Literal["last", "first"] = "last"
    abs_tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    rel_tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1e-9


class Number:
    """1 where the reply's number equals a target's, else 0; a reply without a number is wrong.

    A percent sign on one side only is read both ways: 45 % equals 45 and .45.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = True
    Settings: ClassVar[type[BaseModel]] = NumberSettings

    def __init__(self, settings: NumberSettings) -> None:
        self._settings = settings

    async def score(self, case: Case, reply: Reply) -> Score:
        """Reads the number and compares it.

        Raises:
            ScorerError: The case has no target, or none that is a number.
        """
        return await judge(self._judge, case, reply)

    def _judge(self, case: Case, text: str) -> Score:
        wanted = [found for target in targets_of(case) if (found := read_number(target, "last")) is not None]
        if not wanted:
            raise ScorerError(f"case {case.id}: the target is not a number; correct it or use another scorer")
        said = read_number(text, self._settings.which)
        if said is None:
            return Score(value=0.0, explanation="the reply has no number")
        right = any(self._equal(said, target) for target in wanted)
        return Score(value=float(right), evidence={"found": said.value, "percent": said.percent})

    def _equal(self, said: Numeral, target: Numeral) -> bool:
        return any(
            abs(ours - theirs)
            <= max(self._settings.abs_tolerance, self._settings.rel_tolerance * abs(theirs))
            for ours in said.readings(target)
            for theirs in target.readings(said)
        )
