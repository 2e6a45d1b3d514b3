r"""A path to a value inside JSON, with filters: `choices[0].message.content | strip`.

    path    = steps { "|" ( filter | "." steps ) }
    steps   = key { "." key | "[" index "]" | "[*]" | '["any key"]' }

Filters: `json` (text that holds JSON -> its value), `join`, `join(", ")`, `first`, `last`, `strip`,
`default("text")`. What is not there is None, all the way through.
"""

import re
from collections.abc import Callable
from typing import Any

import orjson

from probes.errors import MalformedReply

#: Takes a value, gives the next one; None for what is not there.
_Move = Callable[[Any], Any]

_STEP = re.compile(
    r"""\.?(?P<key>[^\s.\[\]|"'()$]+)|\[(?P<index>-?\d+|\*)\]|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]"""
)
_FILTER = re.compile(r"""(?P<name>[a-z]+)\s*(?:\(\s*(?P<argument>"(?:[^"\\]|\\.)*")\s*\))?""")
_PIPE = re.compile(r"""(?:[^|"]|"(?:[^"\\]|\\.)*")+""")


class Path:
    """A path that was read once and is followed often."""

    def __init__(self, written: str) -> None:
        """Reads the path.

        Raises:
            ValueError: It is not a path; the message says where.
        """
        parts = [part.strip() for part in _PIPE.findall(written)]
        if not written.strip() or "|".join(parts).replace(" ", "") != written.replace(" ", ""):
            raise ValueError("is no path; write one as in choices[0].message.content | strip")
        self._moves = [*_steps(parts[0]), *(move for part in parts[1:] for move in _after_pipe(part))]

    def find(self, value: Any) -> Any:
        """The value at the path; None where there is none."""
        for move in self._moves:
            value = move(value)
        return value


def _after_pipe(part: str) -> list[_Move]:
    return _steps(part) if part.startswith((".", "[")) else [_filter(part)]


def _steps(part: str, at: int = 0) -> list[_Move]:
    moves: list[_Move] = []
    while at < len(part):
        found = _STEP.match(part, at)
        if found is None or (found["key"] and at and part[at] != "."):
            raise ValueError(f'{part[at:]!r} is no step of a path; a step is key, .key, [0], [*] or ["key"]')
        if found["index"] == "*":  # the rest is followed in each item
            return [*moves, _each(_steps(part, found.end()))]
        moves.append(_step(found))
        at = found.end()
    return moves


def _step(found: re.Match[str]) -> _Move:
    if found["index"] is not None:
        index = int(found["index"])
        return lambda value: _item(value, index)
    key = found["key"] if found["key"] is not None else str(orjson.loads(found["quoted"]))
    return lambda value: value.get(key) if isinstance(value, dict) else None


def _item(value: Any, index: int) -> Any:
    return value[index] if isinstance(value, list) and -len(value) <= index < len(value) else None


def _each(moves: list[_Move]) -> _Move:
    def follow(value: Any) -> Any:
        for move in moves:
            value = move(value)
        return value

    def follow_all(value: Any) -> Any:
        if not isinstance(value, list):
            return None
        return [found for item in value if (found := follow(item)) is not None]

    return follow_all


def _filter(part: str) -> _Move:
    found = _FILTER.fullmatch(part)
    name, argument = (found["name"], found["argument"]) if found else ("", None)
    given = str(orjson.loads(argument)) if argument is not None else None
    if name == "join":
        return lambda value: (given or "").join(map(as_text, value)) if isinstance(value, list) else value
    if name == "default" and given is not None:
        return lambda value: given if value is None else value
    if name in _FILTERS and given is None:
        return _FILTERS[name]
    known = 'json, join, join(", "), first, last, strip, default("text")'
    raise ValueError(f"{part!r} is no filter; there are {known}")


def as_text(value: Any) -> str:
    """Text as it stands, anything else as JSON.

    Raises:
        MalformedReply: It is nested more deeply than JSON can be written.
    """
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise MalformedReply("the answer is nested too deeply") from None


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None


_FILTERS: dict[str, _Move] = {
    "json": _json,
    "first": lambda value: _item(value, 0),
    "last": lambda value: _item(value, -1),
    "strip": lambda value: value.strip() if isinstance(value, str) else value,
}
