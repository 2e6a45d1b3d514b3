"""The fake LLM endpoint's answers as Anthropic's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tests.fakes.llm_wire import Part, paced

if TYPE_CHECKING:
    from tests.fakes.llm import Asked, FakeLLM


def stream(fake: FakeLLM, asked: Asked, text: str) -> list[Part]:
    """The message as server-sent events, with a ping, thinking, text and tool use."""
    head = completion(fake, asked, text) | {"content": [], "stop_reason": None}
    head["usage"] = usage_of(fake, asked, text) | {"output_tokens": 1}
    events = [named("message_start", message=head), named("ping")]
    index = 0
    if fake.reasoning:
        events += _block(index, {"type": "thinking", "thinking": ""}, "thinking", [fake.reasoning])
        index += 1
    words = [word if at == 0 else f" {word}" for at, word in enumerate(text.split(" "))]
    events += _block(index, {"type": "text", "text": ""}, "text", words)
    for at, call in enumerate(fake.tool_calls, index + 1):
        block = {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": {}}
        given = call["function"]["arguments"]
        events += _block(at, block, "partial_json", ["", given[:3], given[3:]])
    usage = {"output_tokens": usage_of(fake, asked, text)["output_tokens"]}
    delta = {"stop_reason": _stop(fake), "stop_sequence": None}
    return paced(fake, events, named("message_delta", delta=delta, usage=usage) + named("message_stop"))


def event(fake: FakeLLM, asked: Asked, delta: dict[str, Any]) -> bytes:
    """One piece of text."""
    return named("content_block_delta", index=0, delta={"type": "text_delta", "text": delta["content"]})


def completion(fake: FakeLLM, asked: Asked, text: str) -> dict[str, Any]:
    """The whole message as one JSON body."""
    content: list[dict[str, Any]] = [{"type": "thinking", "thinking": fake.reasoning}] * bool(fake.reasoning)
    content.append({"type": "text", "text": text})
    for call in fake.tool_calls:
        given = orjson.loads(call["function"]["arguments"] or "{}")
        block = {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": given}
        content.append(block)
    return {
        "id": f"msg_{asked.n}",
        "type": "message",
        "role": "assistant",
        "model": fake.served_model or asked.body.get("model"),
        "content": content,
        "stop_reason": _stop(fake),
        "stop_sequence": None,
        "usage": usage_of(fake, asked, text),
    }


def usage_of(fake: FakeLLM, asked: Asked, text: str) -> dict[str, Any]:
    """Counts; `input_tokens` of the fake includes what came from the cache, the protocol's does not."""
    into = fake.input_tokens if fake.input_tokens is not None else len(asked.prompt.split())
    out = fake.output_tokens if fake.output_tokens is not None else len(text.split())
    cached = fake.cached_tokens or 0
    counts = {"input_tokens": into - cached, "output_tokens": out}
    return counts | {"cache_creation_input_tokens": 0, "cache_read_input_tokens": cached}


def named(kind: str, **more: Any) -> bytes:
    """One event, which names its type twice."""
    return f"event: {kind}\n".encode() + b"data: " + orjson.dumps({"type": kind, **more}) + b"\n\n"


def _block(index: int, block: dict[str, Any], key: str, pieces: list[str]) -> list[bytes]:
    kind = "input_json_delta" if key == "partial_json" else f"{key}_delta"
    deltas = [named("content_block_delta", index=index, delta={"type": kind, key: piece}) for piece in pieces]
    start = named("content_block_start", index=index, content_block=block)
    return [start, *deltas, named("content_block_stop", index=index)]


def _stop(fake: FakeLLM) -> str:
    return "tool_use" if fake.tool_calls else "end_turn"
