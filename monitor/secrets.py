"""Keeps an endpoint's own secrets out of what is stored: a model, or a proxy before it, may echo them."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, SecretStr

#: Anything shorter is no secret, and would be found in every other word.
_SHORTEST = 6
_MARK = "[redacted]"


class Secrets:
    """The secrets in plugins' settings."""

    def __init__(self, *settings: BaseModel) -> None:
        found = {word for each in settings for word in _inside(dict(each)) if len(word) >= _SHORTEST}
        escaped = {json.dumps(word)[1:-1] for word in found}
        self._words = sorted(found | escaped, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """The text with every secret replaced, also where it stands inside JSON."""
        for word in self._words:
            if word in text:
                text = text.replace(word, _MARK)
        return text


def _inside(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        yield from _inside(dict(value))
    elif isinstance(value, dict):
        for each in value.values():
            yield from _inside(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _inside(each)
