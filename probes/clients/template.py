"""A JSON value with placeholders, from which each request's body is made.

A placeholder that is a whole string keeps its value's JSON type, and where it has no value its key or item
is left out; inside a longer string it is text. What was placed is never read as a template again.
"""

import re
from collections.abc import Mapping
from typing import Any

from probes.case import Message
from probes.clients.path import as_text
from probes.reply import Request

_PLACE = re.compile(r"\{\{\s*([\w.-]*)\s*\}\}")
_PARAM = "params."
_RULES = ("system", "developer")
_KNOWN = frozenset({"prompt", "messages", "system", "tools", "format", "model"})


class Template:
    """A body that was checked once and is filled often."""

    def __init__(self, body: Any) -> None:
        """Checks the placeholders.

        Raises:
            ValueError: One is unknown, or braces are not a placeholder.
        """
        _check(body)
        self._body = body

    def fill(self, request: Request, *, model: str, params: Mapping[str, Any]) -> Any:
        """The body for one request.

        Args:
            request: What to ask; its own params win.
            model: What `{{model}}` stands for.
            params: The endpoint's params.
        """
        prompts = [message for message in request.messages if message.role == "user"]
        system = [_words(message) for message in request.messages if message.role in _RULES]
        known: dict[str, Any] = {
            "prompt": _words(prompts[-1]) if prompts else "",
            "messages": [message.as_json() for message in request.messages],
            "system": "\n\n".join(system) or None,
            "tools": list(request.tools) or None,
            "format": request.format,
            "model": model or None,
        }
        known |= {f"{_PARAM}{name}": value for name, value in {**params, **request.params}.items()}
        return _filled(self._body, known)


def _check(body: Any) -> None:
    if isinstance(body, str):
        for name in _PLACE.findall(body):
            if name not in _KNOWN and not (name.startswith(_PARAM) and name != _PARAM):
                known = ", ".join(f"{{{{{each}}}}}" for each in sorted(_KNOWN))
                raise ValueError(
                    f"{{{{{name}}}}} is no placeholder; there are {known} and {{{{params.NAME}}}}"
                )
    elif isinstance(body, dict):
        for key, value in body.items():
            if not isinstance(key, str):
                raise ValueError(f"the key {key!r} is no text; put it in quotes")
            _check(value)
    elif isinstance(body, list):
        for value in body:
            _check(value)


def _filled(body: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(body, dict):
        made = {key: _filled(value, known) for key, value in body.items()}
        return {key: value for key, value in made.items() if value is not None or body[key] is None}
    if isinstance(body, list):
        items = [(item, _filled(item, known)) for item in body]
        return [value for item, value in items if value is not None or item is None]
    if not isinstance(body, str):
        return body
    if whole := _PLACE.fullmatch(body):
        return known.get(whole[1])
    return _PLACE.sub(lambda found: _shown(known.get(found[1])), body)


def _shown(value: Any) -> str:
    return "" if value is None else as_text(value)


def _words(message: Message) -> str:
    """The text of a message; of content parts those that are text."""
    if isinstance(message.content, str):
        return message.content
    return "".join(str(part["text"]) for part in message.content or () if "text" in part)
