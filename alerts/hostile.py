"""Text that others wrote (models, users, servers), made safe to store and to show on one line."""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

_JOINERS = "\u200c\u200d"  # the two invisible characters that scripts and emoji really need
_MOST_ITEMS = 20
_MOST_DEPTH = 3


def width(text: str) -> int:
    """Length in UTF-16 units, as browsers and chat services count; never less than `len(text)`."""
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, limit: int) -> str:
    """The text, at most `limit` wide; where it is longer it ends with "…", never inside a character."""
    if width(text) <= limit:
        return text
    end = min(len(text), limit - 1)
    while end and (width(text[:end]) > limit - 1 or _joined(text[end - 1], text[end])):
        end -= 1
    return text[:end].rstrip() + "…"


def one_line(text: str, limit: int = 300) -> str:
    """The text on one line: no control, direction-changing or invisible characters, no lone surrogates.

    Args:
        text: Anything.
        limit: Most characters to keep.
    """
    visible = (_visible(character) for character in text[: 4 * limit])
    return cut(" ".join("".join(visible).split()), limit)


def plain(value: Any, depth: int = 0) -> Any:
    """The value as JSON that any database takes: clean strings, finite numbers, short and shallow lists."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping) and depth < _MOST_DEPTH:
        items = list(value.items())[:_MOST_ITEMS]
        return {one_line(str(key), 60): plain(item, depth + 1) for key, item in items}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and depth < _MOST_DEPTH:
        return [plain(item, depth + 1) for item in value[:_MOST_ITEMS]]
    return one_line(str(value))


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    if character in _JOINERS:
        return character
    return "" if unicodedata.category(character) in {"Cc", "Cf", "Cs"} else character


def _joined(before: str, after: str) -> bool:
    return before in _JOINERS or after in _JOINERS or unicodedata.combining(after) > 0
