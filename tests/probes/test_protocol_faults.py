"""Every protocol ends an attempt as chat completions do."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from probes import EndpointError, Outcome
from probes.clients.anthropic import AnthropicClient
from probes.clients.embeddings import EmbeddingsClient
from probes.clients.endpoint import EndpointClient
from probes.clients.http import HttpClient
from probes.clients.responses import ResponsesClient
from tests.fakes.llm import FakeLLM
from tests.probes.cases import question
from tests.probes.test_openai_faults import DEADLINES, ENDS

KEY = "sk-test-0123456789abcdef"
APP = {
    "body": {"prompt": "{{prompt}}", "stream": "{{params.stream}}"},
    "params": {"stream": "sse"},
    "stream": "sse",
    "reply": {"text": "token", "error": "error", "done": "done"},
}
KINDS: dict[str, tuple[type[Any], str, dict[str, Any]]] = {
    "anthropic": (AnthropicClient, "", {"model": "m1"}),
    "openai-responses": (ResponsesClient, "", {"model": "m1"}),
    "openai-embeddings": (EmbeddingsClient, "", {"model": "m1"}),
    "http-sse": (HttpClient, "/ask", APP),
    "http-ndjson": (HttpClient, "/ask", APP | {"params": {"stream": "ndjson"}, "stream": "ndjson"}),
}
#: Faults that are told in server-sent events, whatever was asked for.
NOT_LINES = {"invalid_utf8", "wrong_json", "no_choices", "error_inside", "cut_stream", "reset", "big_body"}


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(answers={"2+2?": "4"}) as server:
        yield server


def client_of(kind: str, fake: FakeLLM, **changed: Any) -> EndpointClient:
    made, path, settings = KINDS[kind]
    written = {"url": fake.url + path, "api_key": KEY} | settings | changed
    client: EndpointClient = made(made.Settings.model_validate(written))
    return client


async def failure(kind: str, fake: FakeLLM, timeout: float = 20.0, **changed: Any) -> EndpointError:
    client = client_of(kind, fake, **changed)
    try:
        with pytest.raises(EndpointError) as caught:
            await client.ask(question(timeout=timeout))
    finally:
        await client.close()
    assert KEY not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "fault"),
    [(kind, fault) for kind in KINDS for fault in ENDS if kind != "http-ndjson" or fault not in NOT_LINES],
)
async def test_every_fault_ends_as_its_outcome(fake: FakeLLM, kind: str, fault: str) -> None:
    fake.behave(fault=fault, error_message=f"no {KEY}")
    error = await failure(kind, fake, DEADLINES.get(fault, 20.0))
    assert error.outcome is ENDS[fault]
    assert len(fake.requests) == 1


@pytest.mark.parametrize("fault", ["invalid_utf8", "wrong_json", "no_choices", "error_inside", "reset"])
@pytest.mark.parametrize("kind", ["anthropic", "openai-responses"])
async def test_faults_of_an_unstreamed_answer_end_alike(fake: FakeLLM, kind: str, fault: str) -> None:
    fake.fault = fault
    assert (await failure(kind, fake, stream=False)).outcome is ENDS[fault]


@pytest.mark.parametrize("kind", KINDS)
async def test_cancelling_an_attempt_closes_its_connection(fake: FakeLLM, kind: str) -> None:
    fake.fault = "hang"
    client = client_of(kind, fake)
    attempt = asyncio.create_task(client.ask(question()))
    await fake.came.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    await fake.left.wait()
    await client.close()


@pytest.mark.parametrize("kind", ["http-ndjson", "http-sse"])
async def test_a_stream_of_an_app_that_breaks_off_is_truncated(fake: FakeLLM, kind: str) -> None:
    start = b"" if kind == "http-ndjson" else b"data: "
    end = b"\n" if kind == "http-ndjson" else b"\n\n"
    fake.raw = [start + b'{"token": "a"}' + end + start + b'{"tok']
    fake.raw_type = "application/x-ndjson" if kind == "http-ndjson" else "text/event-stream"
    assert (await failure(kind, fake)).outcome is Outcome.TRUNCATED
    without_an_end = {"text": "token"}
    assert (await failure(kind, fake, reply=without_an_end)).outcome is Outcome.TRUNCATED


@pytest.mark.parametrize(
    ("kind", "error", "outcome"),
    [
        ("anthropic", {"type": "error", "error": {"type": "overloaded_error"}}, Outcome.SERVER),
        ("anthropic", {"type": "error", "error": {"type": "rate_limit_error"}}, Outcome.RATE_LIMITED),
        ("anthropic", {"type": "error", "error": {"type": "authentication_error"}}, Outcome.AUTH),
        ("anthropic", {"type": "error", "error": {"type": "not_found_error"}}, Outcome.AUTH),
        ("anthropic", {"type": "error", "error": {"type": "api_error"}}, Outcome.SERVER),
        (
            "openai-responses",
            {"type": "error", "code": "rate_limit_exceeded", "message": "slow down"},
            Outcome.RATE_LIMITED,
        ),
        ("openai-responses", {"type": "error", "code": None, "message": "no"}, Outcome.SERVER),
        (
            "openai-responses",
            {"type": "response.failed", "response": {"error": {"code": "server_error"}}},
            Outcome.SERVER,
        ),
        ("openai-responses", {"type": "response.failed", "response": {"status": "failed"}}, Outcome.SERVER),
        ("openai-responses", {"object": "response", "status": "failed", "error": None}, Outcome.SERVER),
        ("http-sse", {"error": {"code": 429}}, Outcome.RATE_LIMITED),
        ("http-sse", {"error": "the index is gone"}, Outcome.SERVER),
        ("http-sse", {"error": True}, Outcome.SERVER),
    ],
)
async def test_an_error_inside_an_answer_counts_by_its_code(
    fake: FakeLLM, kind: str, error: dict[str, Any], outcome: Outcome
) -> None:
    fake.raw = [b"data: " + orjson.dumps(error) + b"\n\n"]
    found = await failure(kind, fake)
    assert found.outcome is outcome
    assert "error inside the answer" in found.detail


@pytest.mark.parametrize("status", ["529", "500"])
async def test_an_overloaded_endpoint_is_a_failed_server(fake: FakeLLM, status: str) -> None:
    fake.behave(fault=status, error_type="overloaded_error", error_message="Overloaded")
    error = await failure("anthropic", fake)
    assert (error.outcome, error.detail) == (Outcome.SERVER, f"HTTP {status}: Overloaded")


MALFORMED: dict[str, list[Any]] = {
    "anthropic": [
        [],
        {"type": "message", "content": 5},
        {"type": "message", "content": [5]},
        {"type": "message", "content": [{"type": "text", "text": 5}]},
        {"type": "message_start", "message": 5},
        {"type": "content_block_start", "content_block": None},
        {"type": "content_block_delta", "delta": "x"},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": {}}},
        {"type": "message_delta", "delta": 3},
        {"type": "message_stop"},
    ],
    "openai-responses": [
        [],
        {"type": "response.created", "response": 5},
        {"type": "response.completed"},
        {"type": "response.output_text.delta", "delta": []},
        {"type": "response.output_item.done", "item": "x"},
        {"object": "response", "output": 5},
        {"object": "response", "output": [5]},
        {"object": "response", "status": "queued"},
        {"object": "response", "output": [{"type": "message", "content": "x"}]},
        {"object": "response", "output": [{"type": "function_call", "name": 5}]},
    ],
    "http-sse": [[], 5, {"done": True}, {"token": None}],
}


@pytest.mark.parametrize(
    ("kind", "body"), [(kind, orjson.dumps(body)) for kind, bodies in MALFORMED.items() for body in bodies]
)
async def test_an_answer_of_the_wrong_shape_is_malformed(fake: FakeLLM, kind: str, body: bytes) -> None:
    fake.raw = [b"data: " + body + b"\n\ndata: [DONE]\n\n"]
    assert (await failure(kind, fake)).outcome is Outcome.MALFORMED


async def test_a_value_that_is_nested_too_deeply_is_malformed(fake: FakeLLM) -> None:
    fake.raw = [b"data: " + b'{"token":' * 500 + b"1" + b"}" * 500 + b"\n\n"]
    assert (await failure("http-sse", fake)).outcome is Outcome.MALFORMED
