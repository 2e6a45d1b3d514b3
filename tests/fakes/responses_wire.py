"""The fake LLM endpoint's answers as OpenAI's responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tests.fakes.llm_wire import Part, paced

if TYPE_CHECKING:
    from tests.fakes.llm import Asked, FakeLLM


def stream(fake: FakeLLM, asked: Asked, text: str) -> list[Part]:
    """The response as server-sent events; the last one repeats it whole."""
    whole = completion(fake, asked, text)
    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    events = [named("response.created", response=begun), named("response.in_progress", response=begun)]
    if fake.reasoning:
        events.append(named("response.reasoning_summary_text.delta", delta=fake.reasoning))
    words = [word if at == 0 else f" {word}" for at, word in enumerate(text.split(" "))]
    events += [event(fake, asked, {"content": word}) for word in words]
    events.append(named("response.output_text.done", text=text))
    for item in whole["output"]:
        if item["type"] == "function_call":
            arguments = item["arguments"]
            events.append(named("response.output_item.added", item=item | {"arguments": ""}))
            events.append(named("response.function_call_arguments.delta", delta=arguments))
        events.append(named("response.output_item.done", item=item))
    return paced(fake, events, named("response.completed", response=whole))


def event(fake: FakeLLM, asked: Asked, delta: dict[str, Any]) -> bytes:
    """One piece of text."""
    return named("response.output_text.delta", output_index=0, content_index=0, delta=delta["content"])


def completion(fake: FakeLLM, asked: Asked, text: str) -> dict[str, Any]:
    """The whole response as one JSON body."""
    output: list[dict[str, Any]] = [{"type": "reasoning", "summary": []}] * bool(fake.reasoning)
    content = [{"type": "output_text", "text": text, "annotations": []}]
    output.append({"type": "message", "role": "assistant", "status": "completed", "content": content})
    output += [{"type": "function_call", "call_id": c["id"], **c["function"]} for c in fake.tool_calls]
    into = fake.input_tokens if fake.input_tokens is not None else len(asked.prompt.split())
    out = fake.output_tokens if fake.output_tokens is not None else len(text.split())
    return {
        "id": f"resp_{asked.n}",
        "object": "response",
        "created_at": int(asked.at),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": fake.served_model or asked.body.get("model"),
        "output": output,
        "usage": {
            "input_tokens": into,
            "input_tokens_details": {"cached_tokens": fake.cached_tokens or 0},
            "output_tokens": out,
            "output_tokens_details": {"reasoning_tokens": len(fake.reasoning.split())},
            "total_tokens": into + out,
        },
    }


def named(kind: str, **more: Any) -> bytes:
    """One event, which names its type twice."""
    return f"event: {kind}\n".encode() + b"data: " + orjson.dumps({"type": kind, **more}) + b"\n\n"
