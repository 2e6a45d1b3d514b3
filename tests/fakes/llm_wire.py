"""The fake LLM endpoint's answers as bytes on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from tests.fakes.llm import Asked, FakeLLM

#: Bytes are written, awaitables are awaited between them.
Part = bytes | Callable[[], Awaitable[Any]]


def stream(fake: FakeLLM, asked: Asked, text: str) -> list[Part]:
    """The answer as server-sent events, at once or paced."""
    words = text.split(" ")
    pieces = [word if at == 0 else f" {word}" for at, word in enumerate(words)]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": fake.reasoning}] if fake.reasoning else []
    deltas += [{"content": piece} for piece in pieces if piece]
    deltas += [{"tool_calls": [{"index": at, **call}]} for at, call in enumerate(fake.tool_calls)]
    events = [event(fake, asked, delta) for delta in deltas]
    finish = "tool_calls" if fake.tool_calls else "stop"
    last = event(fake, asked, {}, finish_reason=finish)
    if (asked.body.get("stream_options") or {}).get("include_usage"):
        last += event(fake, asked, None, usage=usage_of(fake, asked, text))
    last += b"data: [DONE]\n\n"
    return paced(fake, events, last)


def paced(fake: FakeLLM, events: list[bytes], last: bytes) -> list[Part]:
    """The events and the end, at once or with a wait after each event."""
    if not fake.chunk_delay:
        return [b"".join(events) + last]
    parts: list[Part] = []
    for part in events:
        parts += [part, lambda: asyncio.sleep(fake.chunk_delay)]
    return [*parts, last]


def event(
    fake: FakeLLM,
    asked: Asked,
    delta: dict[str, Any] | None,
    *,
    finish_reason: str | None = None,
    usage: dict[str, Any] | None = None,
) -> bytes:
    """One server-sent event of a completion; without a delta it has no choices."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    body = head(fake, asked, "chat.completion.chunk") | {"choices": [] if delta is None else [choice]}
    if usage is not None:
        body["usage"] = usage
    return b"data: " + orjson.dumps(body) + b"\n\n"


def completion(fake: FakeLLM, asked: Asked, text: str) -> dict[str, Any]:
    """The whole answer as one JSON body."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if fake.tool_calls:
        message["tool_calls"] = fake.tool_calls
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "tool_calls" if fake.tool_calls else "stop",
    }
    return head(fake, asked, "chat.completion") | {"choices": [choice], "usage": usage_of(fake, asked, text)}


def head(fake: FakeLLM, asked: Asked, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{asked.n}",
        "object": kind,
        "created": int(asked.at),
        "model": fake.served_model or asked.body.get("model"),
        "system_fingerprint": fake.fingerprint,
    }


def usage_of(fake: FakeLLM, asked: Asked, text: str) -> dict[str, Any]:
    into = fake.input_tokens if fake.input_tokens is not None else len(asked.prompt.split())
    out = fake.output_tokens if fake.output_tokens is not None else len(text.split())
    usage: dict[str, Any] = {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}
    if fake.cached_tokens is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": fake.cached_tokens}
    return usage
