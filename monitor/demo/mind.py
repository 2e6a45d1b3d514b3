"""What the simulated model knows, and what its faults do to it. Pure: chance and the time are passed in."""

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any

MODEL = "plumbline-simulator-1"
_DONT_KNOW = "I am a simulator and know only the questions of the demo."

#: Medians of the log-normal times, in seconds: to the first token, and for each further one.
_FIRST_TOKEN = 0.095
_PER_TOKEN = 0.003
_SPREAD = 0.3

#: A fault begins after so many requests, counted from `start`.
_SOONEST, _LATEST = 500, 900


class Fault(StrEnum):
    """What can go wrong."""

    QUALITY = "quality"
    FORMAT = "format"
    SLOW = "slow"
    ERRORS = "errors"
    DOWN = "down"
    WEAKER = "weaker"


MEANING: Mapping[Fault, str] = {
    Fault.QUALITY: "answers became worse: every fifth right answer turned into a wrong one",
    Fault.FORMAT: "most JSON answers came wrapped in Markdown and chatter",
    Fault.SLOW: "every answer took 1.8 times as long",
    Fault.ERRORS: "a quarter of the requests ended in HTTP 500",
    Fault.DOWN: "every connection was broken off",
    Fault.WEAKER: "a smaller model answered under the same name: faster, and worse",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question that the simulated model knows: how often it is right, and how it is wrong."""

    skill: float
    right: str
    wrong: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What is said, and how long that takes in seconds."""

    text: str
    first_token: float
    per_token: float


def questions() -> Mapping[str, Question]:
    """Question -> what the simulated model knows of it."""
    known: Mapping[str, Any] = json.loads(files("monitor.demo").joinpath("answers.json").read_bytes())
    return {question: Question(**about) for question, about in known.items()}


def plan(seed: int, kind: str) -> tuple[Fault | None, int]:
    """Which fault, and after how many requests: both follow from the seed, unless the kind is given.

    Args:
        seed: Any number.
        kind: A fault, "none", or "auto" to let the seed choose.
    """
    rng = random.Random(f"fault:{seed}")  # noqa: S311 - a demo must repeat
    drawn = rng.choice(list(Fault))
    after = rng.randrange(_SOONEST, _LATEST)
    if kind == "none":
        return None, after
    return (drawn if kind == "auto" else Fault(kind)), after


def answer(question: Question | None, fault: Fault | None, rng: random.Random) -> Answer:
    """One answer under a fault, or None for a healthy one. Errors and broken connections are the server's part."""
    pace = {Fault.SLOW: 1.8, Fault.WEAKER: 0.6}.get(fault, 1.0) if fault else 1.0
    skill = {Fault.QUALITY: 0.8, Fault.WEAKER: 0.82}.get(fault, 1.0) if fault else 1.0
    first, each = (median * pace * math.exp(rng.gauss(0.0, _SPREAD)) for median in (_FIRST_TOKEN, _PER_TOKEN))
    text = _DONT_KNOW
    if question is not None:
        right = rng.random() < question.skill * skill
        text = question.right if right else rng.choice(question.wrong)
        if fault is Fault.FORMAT and text.startswith("{") and rng.random() < 0.8:
            text = f"Sure! Here is the JSON you asked for:\n```json\n{text}\n```"
    return Answer(text=text, first_token=first, per_token=each)


def tokens(text: str) -> int:
    """About as many tokens as a real tokenizer would make of a text."""
    return max(1, math.ceil(len(text) / 4))
