"""The fake LLM endpoint's answers as OpenAI's embeddings.

An answer that is a JSON array is the vector; for any other the prompt's own words are counted into one, so
that texts which share words have vectors that point the same way.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import orjson

from tests.fakes.llm_wire import Part

if TYPE_CHECKING:
    from tests.fakes.llm import Asked, FakeLLM

DIMENSIONS = 64


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """How often each word (of each bucket of words) occurs."""
    counts = [0.0] * dimensions
    for word in text.lower().split():
        counts[zlib.crc32(word.encode()) % dimensions] += 1.0
    return counts


def stream(fake: FakeLLM, asked: Asked, text: str) -> list[Part]:
    """The protocol has no stream: the answer comes whole."""
    return [orjson.dumps(completion(fake, asked, text))]


def event(fake: FakeLLM, asked: Asked, delta: dict[str, Any]) -> bytes:
    """A piece that says nothing, for faults that keep a client waiting."""
    return f": {delta['content']}\n\n".encode()


def completion(fake: FakeLLM, asked: Asked, text: str) -> dict[str, Any]:
    """The whole answer as one JSON body."""
    into = fake.input_tokens if fake.input_tokens is not None else len(asked.prompt.split())
    told = text.startswith("[")
    vector = orjson.loads(text) if told else vector_of(asked.prompt, asked.body.get("dimensions", DIMENSIONS))
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "model": fake.served_model or asked.body.get("model"),
        "usage": {"prompt_tokens": into, "total_tokens": into},
    }
