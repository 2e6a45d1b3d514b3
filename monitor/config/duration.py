"""Durations as people write them (`90s`, `15m`, `1h30m`, `30d`), in whole seconds."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from monitor.config.problem import Wrong

#: The units in the order in which they are written.
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PATTERN = r"^(?=.)([0-9]{1,8}d)?([0-9]{1,8}h)?([0-9]{1,8}m)?([0-9]{1,8}s)?$"
_WRITTEN = re.compile(_PATTERN, re.ASCII)
_CURE = "write whole seconds or more, like 90s, 15m, 1h30m or 30d"


def parse(text: str) -> timedelta:
    """Reads `1h30m`.

    Raises:
        Wrong: It is not a duration; the message names the cure.
    """
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise Wrong("is not a duration", _CURE)
    parts = zip(match.groups(), _SECONDS.values(), strict=True)
    return timedelta(seconds=sum(int(part[:-1]) * seconds for part, seconds in parts if part))


def format(duration: timedelta) -> str:
    """Writes `1h30m`; `parse` reads the same duration back.

    Raises:
        ValueError: It is negative or has a fraction of a second.
    """
    rest, fraction = divmod(duration, timedelta(seconds=1))
    if rest < 0 or fraction:
        raise ValueError(f"a duration is whole seconds from 0 up, not {duration!r}")
    written = ""
    for unit, seconds in _SECONDS.items():
        count, rest = divmod(rest, seconds)
        written += f"{count}{unit}" if count else ""
    return written or "0s"


def between(least: timedelta, most: timedelta | None = None) -> AfterValidator:
    """Bounds of a `Duration`, both included."""

    def check(duration: timedelta) -> timedelta:
        if duration < least:
            raise Wrong("is too short", f"write {format(least)} or more")
        if most is not None and duration > most:
            raise Wrong("is too long", f"write {format(most)} or less")
        return duration

    return AfterValidator(check)


def _validate(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        raise Wrong("is a number without a unit", f"write one: {value}s, {value}m, {value}h or {value}d")
    if value == 0 and not isinstance(value, bool):
        return timedelta(0)
    if not isinstance(value, str):
        raise Wrong("is not a duration", _CURE)
    return parse(value)


#: A `timedelta` in a config model: written and shown as `15m`.
Duration = Annotated[
    timedelta,
    BeforeValidator(_validate),
    PlainSerializer(format, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _PATTERN, "examples": ["90s", "15m", "1h30m", "30d"]}),
]
