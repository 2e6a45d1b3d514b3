"""The fake LLM endpoint's answers as an app of its own would give them: JSON of another shape, or text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tests.fakes.llm_wire import Part, paced

if TYPE_CHECKING:
    from tests.fakes.llm import Asked, FakeLLM


def stream(fake: FakeLLM, asked: Asked, text: str) -> list[Part]:
    """The answer word by word, as server-sent events or as JSON lines."""
    words = [word if at == 0 else f" {word}" for at, word in enumerate(text.split(" "))]
    events = [event(fake, asked, {"content": word}) for word in words]
    last = {"done": True} | {key: completion(fake, asked, text)[key] for key in ("engine", "cost")}
    return paced(fake, events, _piece(asked, last))


def event(fake: FakeLLM, asked: Asked, delta: dict[str, Any]) -> bytes:
    """One word."""
    return _piece(asked, {"token": delta["content"]})


def completion(fake: FakeLLM, asked: Asked, text: str) -> dict[str, Any]:
    """The whole answer as one JSON body."""
    into = fake.input_tokens if fake.input_tokens is not None else len(asked.prompt.split())
    out = fake.output_tokens if fake.output_tokens is not None else len(text.split())
    return {
        "result": {"parts": [{"kind": "note"}, {"text": text[:2]}, {"text": text[2:]}]},
        "engine": {"name": fake.served_model or "app-1", "build": fake.fingerprint},
        "cost": {"read": into, "written": out, "from_cache": fake.cached_tokens},
    }


def _piece(asked: Asked, body: dict[str, Any]) -> bytes:
    line = orjson.dumps(body)
    return line + b"\n" if asked.body.get("stream") == "ndjson" else b"data: " + line + b"\n\n"
