"""The protocols that the fake LLM endpoint speaks, by the path that is asked."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from tests.fakes import anthropic_wire, any_wire, embeddings_wire, llm_wire, responses_wire

if TYPE_CHECKING:
    from tests.fakes.llm import Asked

WIRES: dict[str, ModuleType] = {
    "/v1/chat/completions": llm_wire,
    "/v1/messages": anthropic_wire,
    "/v1/responses": responses_wire,
    "/v1/embeddings": embeddings_wire,
    "/v1/ask": any_wire,
}


def wire_of(asked: Asked) -> Any:
    """The module that writes the answer: `stream`, `completion` and `event`."""
    return WIRES[asked.path.partition("?")[0]]


def prompt_of(body: dict[str, Any]) -> str:
    """The last words of the user, in any of the protocols."""
    turns = body.get("messages") or body.get("input") or []
    if isinstance(turns, str):
        return turns
    words = (_words(turn.get("content")) for turn in reversed(turns) if turn.get("role") == "user")
    return next(words, str(body.get("prompt", "")))


def _words(content: Any) -> str:
    if not isinstance(content, list):
        return str(content)
    return "".join(part.get("text", "") for part in content)


def stream_type(asked: Asked) -> str:
    """The content type of a stream."""
    lines = asked.body.get("stream") == "ndjson"
    return "application/x-ndjson" if lines else "text/event-stream"
