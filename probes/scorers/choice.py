"""The scorer `choice`: which of the options on offer a reply picks.

How the pick is read follows what MMLU-Pro (Wang et al. 2024) and simple-evals look for: "The answer is (B)" and
"Answer: B" first, looser forms only where those are missing.
"""

import string
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import regex
from pydantic import BaseModel, ConfigDict, Field

from probes.case import Case
from probes.errors import ScorerError
from probes.reply import Reply
from probes.scorer import Score
from probes.scorers.judging import judge, quote, targets_of

#: Characters at the end of a reply that are searched; nobody writes the pick behind more than that.
_SEARCHED = 100_000
_MOST_OPTIONS = 26
#: Options that are offered where nobody says which: A to E, or 1 to 5.
_USUAL = 5

_Option = Annotated[str, Field(pattern=r"\S", max_length=2_000)]


class ChoiceSettings(BaseModel):
    """Parameters of `choice`.

    Attributes:
        choices: The options' texts in order; without them, those in the case's `metadata.choices`.
        labels: Options are called A, B, C ... or 1, 2, 3 ...
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    choices: Annotated[tuple[_Option, ...] | None, Field(min_length=2, max_length=_MOST_OPTIONS)] = None
    labels: Literal["letters", "numbers"] = "letters"


class Choice:
    """1 where the reply picks the target's option and no other, else 0."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = True
    Settings: ClassVar[type[BaseModel]] = ChoiceSettings

    def __init__(self, settings: ChoiceSettings) -> None:
        self._settings = settings

    async def score(self, case: Case, reply: Reply) -> Score:
        """Reads the pick and compares it.

        Raises:
            ScorerError: The case has no target, or one that is no option, or options that are no texts.
        """
        return await judge(self._judge, case, reply)

    def _judge(self, case: Case, text: str) -> Score:
        options = self._options(case)
        labels = _labels(self._settings.labels, len(options) or _USUAL)
        wanted = {_meant(case, target, labels, options) for target in targets_of(case)}
        picked = _picked(text[-_SEARCHED:], labels, options)
        evidence = {"picked": sorted(picked)}
        if not picked:
            return Score(value=0.0, explanation="the reply picks no option", evidence=evidence)
        if len(picked) > 1:
            why = f"the reply picks {len(picked)} options: {', '.join(evidence['picked'])}"
            return Score(value=0.0, explanation=why, evidence=evidence)
        return Score(value=float(picked <= wanted), evidence=evidence)

    def _options(self, case: Case) -> tuple[str, ...]:
        options = self._settings.choices if self._settings.choices else case.metadata.get("choices", ())
        if not isinstance(options, list | tuple) or not all(
            isinstance(one, str) and one.strip() for one in options
        ):
            raise ScorerError(f"case {case.id}: `metadata.choices` is not a list of texts")
        if len(options) > _MOST_OPTIONS:
            raise ScorerError(f"case {case.id}: more than {_MOST_OPTIONS} options")
        return tuple(options)


def _labels(kind: str, count: int) -> tuple[str, ...]:
    if kind == "numbers":
        return tuple(str(number) for number in range(1, count + 1))
    return tuple(string.ascii_uppercase[:count])


def _meant(case: Case, target: str, labels: tuple[str, ...], options: tuple[str, ...]) -> str:
    for label, option in zip(labels, options, strict=False):
        if _plain(option) == _plain(target):
            return label
    label = target.strip().strip("()[].*").upper()
    if label in labels:
        return label
    told = f"one of {labels[0]} to {labels[-1]}" + (" or an option's text" if options else "")
    raise ScorerError(f"case {case.id}: the target {quote(target)!r} is no option; write {told}")


def _picked(text: str, labels: tuple[str, ...], options: tuple[str, ...]) -> set[str]:
    """The labels of what the reply picks, by the first way of saying it that is found."""
    for label, option in zip(labels, options, strict=False):
        if _plain(option) == _plain(text):
            return {label}
    stated, headed, marked, loose = _patterns(labels)
    for pattern in (stated, headed, marked):
        if found := _found(pattern, text):
            return found
    if options and (found := _texts(text, labels, options)):
        return found
    return _found(loose, text)


def _found(pattern: regex.Pattern[str], text: str) -> set[str]:
    return {label.upper() for match in pattern.finditer(text) for label in match.captures("label")}


def _texts(text: str, labels: tuple[str, ...], options: tuple[str, ...]) -> set[str]:
    """Options whose text stands in the reply; the longer one wins where one is a part of another."""
    by_text = {option.strip().casefold(): label for label, option in zip(labels, options, strict=True)}
    words = sorted(map(regex.escape, by_text), key=len, reverse=True)
    pattern = regex.compile(rf"(?<!\bnot\s\W?)(?<!\w)(?:{'|'.join(words)})(?!\w)")
    return {by_text[match[0]] for match in pattern.finditer(text.casefold())}


def _plain(text: str) -> str:
    spaced = " ".join(text.casefold().split())
    return spaced.strip(" .*\"'`") or spaced  # an option may be a lone sign


@lru_cache(maxsize=64)
def _patterns(labels: tuple[str, ...]) -> tuple[regex.Pattern[str], ...]:
    """From the plainest way of picking to the loosest; each needs a number of steps linear in the text."""
    one = "|".join(reversed(labels))  # 12 before 1
    # a lower-case letter, or an A or I before another word, is a word unless something closes it
    closed = r"(?=\s*(?:[)\].:,;*$}\n]|$))"
    lower = one.lower() if labels[0] == "A" else "(?!)"
    noun = r"(?<=[AI])\s+(?!(?:or|and|is)\b)\w"
    letter = rf"(?:(?P<label>{one})(?!\w|\.\d|['’]\w)(?!{noun})|(?P<label>{lower})(?!\w){closed})"
    more = rf"(?:[^\w\n]{{0,4}}\s?(?:or|and|,|/|&)\s?[^\w\n]{{0,4}}{letter})*"
    verb = r"(?:is|would\s+be|should\s+be|must\s+be)\W{1,12}"
    boxed = rf"\\boxed\{{\s?(?:\\text\{{)?\s?\(?(?P<label>{one})(?!\w)"
    stated = (
        rf"(?i:\b(?:(?:answer|choice|option)(?:\s+\w+){{0,6}}?\s+{verb}|answer(?:\s+(?:choice|option))?\W{{1,12}}))"
        rf"(?i:(?:option|choice|letter)\W{{1,6}})?{letter}{more}|{boxed}"
    )
    headed = rf"(?m)^[^\w\n]{{0,6}}(?P<label>{one})(?:[^\w\n]{{0,3}}[).:\]]|\s[-–—]\s|[^\w\n]{{0,6}}$)"
    free = rf"(?<!\bnot\s\W?)(?<![\p{{Latin}}\p{{N}}_.,]){letter}"
    marked = (
        rf"(?i:(?<!\bnot\s)\b(?:option|choice))\s\W{{0,3}}{letter}"
        rf"|(?<!\bnot\s)\*\*\(?(?P<label>{one})[).:]?\*\*|(?<!\w|\bnot\s)\((?P<label>{one})\)"
        rf"|{free}\W{{1,3}}(?i:is\s(?:the\s)?(?:correct|right)\b)"
    )
    return tuple(regex.compile(pattern) for pattern in (stated, headed, marked, free))
