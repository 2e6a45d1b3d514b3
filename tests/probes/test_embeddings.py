from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from probes import EndpointError, Message, Outcome, Reply, Request, Usage
from probes.clients.embeddings import EmbeddingsClient, EmbeddingsSettings
from tests.fakes.embeddings_wire import vector_of
from tests.fakes.llm import FakeLLM
from tests.probes.cases import question

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(answers={"2+2?": "[0.1, -1e-05, 3, 0.30000000000000004]"}) as server:
        yield server


async def ask(fake: FakeLLM, request: Request | None = None, **settings: Any) -> Reply:
    written = {"url": fake.url, "model": "e-1", "api_key": KEY} | settings
    client = EmbeddingsClient(EmbeddingsSettings.model_validate(written))
    try:
        return await client.ask(request or question())
    finally:
        await client.close()


async def said(fake: FakeLLM, body: Any) -> EndpointError:
    fake.raw, fake.raw_type = [body if isinstance(body, bytes) else orjson.dumps(body)], "application/json"
    with pytest.raises(EndpointError) as caught:
        await ask(fake)
    return caught.value


async def test_the_vector_is_the_text_with_usage_and_identity(fake: FakeLLM) -> None:
    fake.behave(input_tokens=11, served_model="e-1-2026")
    answer = await ask(fake)
    assert answer.text == "[0.1,-0.00001,3.0,0.30000000000000004]"
    assert answer.usage == Usage(input_tokens=11, output_tokens=0)
    assert (answer.served_model, answer.fingerprint, answer.tool_calls) == ("e-1-2026", None, ())
    assert answer.timings.first_token is None
    assert answer.timings.total > 0


async def test_the_request_is_openais(fake: FakeLLM) -> None:
    await ask(fake, params={"dimensions": 8, "user": "u"})
    (asked,) = fake.requests
    assert (asked.path, asked.headers["Authorization"]) == ("/v1/embeddings", f"Bearer {KEY}")
    assert asked.body == {
        "model": "e-1",
        "input": "2+2?",
        "encoding_format": "float",
        "dimensions": 8,
        "user": "u",
    }


async def test_a_parameter_of_ours_can_be_taken_out_and_a_cases_own_win(fake: FakeLLM) -> None:
    request = question("a b", params={"dimensions": 4})
    answer = await ask(fake, request, params={"encoding_format": None, "dimensions": 8})
    assert fake.requests[0].body == {"model": "e-1", "input": "a b", "dimensions": 4}
    assert orjson.loads(answer.text) == vector_of("a b", 4)


async def test_the_last_user_message_is_embedded(fake: FakeLLM) -> None:
    parts = ({"type": "text", "text": "a "}, {"type": "image_url"}, {"type": "text", "text": "b"})
    turns = (
        Message(role="user", content="first"),
        Message(role="user", content=parts),
        Message(role="assistant", content="c"),
    )
    await ask(fake, Request(messages=turns))
    assert fake.requests[0].body["input"] == "a b"


async def test_a_server_that_counts_only_the_total_is_understood(fake: FakeLLM) -> None:
    body = {"data": [{"embedding": [1]}], "usage": {"total_tokens": 7}}
    fake.raw, fake.raw_type = [orjson.dumps(body)], "application/json"
    assert (await ask(fake)).usage == Usage(input_tokens=7, output_tokens=0)


@pytest.mark.parametrize("usage", [None, 5, {}, {"prompt_tokens": -1}])
async def test_without_a_count_nothing_is_counted(fake: FakeLLM, usage: Any) -> None:
    fake.raw = [orjson.dumps({"data": [{"embedding": [1.5]}], "usage": usage, "model": 5})]
    fake.raw_type = "application/json"
    answer = await ask(fake)
    assert (answer.text, answer.usage, answer.served_model) == ("[1.5]", Usage(), None)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"data": None},
        {"data": []},
        {"data": [5]},
        {"data": [{}]},
        {"data": [{"embedding": [1.0]}, {"embedding": [1.0]}]},
        {"data": [{"embedding": []}]},
        {"data": [{"embedding": [1.0, [2.0]]}]},
        {"data": [{"embedding": [1.0, None]}]},
        {"data": [{"embedding": [0.0] * 16_385}]},
        b'{"data": [{"embedding": [NaN]}]}',
        b'{"data": [{"embedding": [1.0, Infinity]}]}',
        b'{"data": [{"embedding": [1e999]}]}',
    ],
)
async def test_what_is_no_vector_is_malformed(fake: FakeLLM, body: Any) -> None:
    assert (await said(fake, body)).outcome is Outcome.MALFORMED


async def test_a_vector_in_base64_is_malformed_and_called_so(fake: FakeLLM) -> None:
    error = await said(fake, {"data": [{"embedding": "AACAPw=="}]})
    assert (error.outcome, "base64" in error.detail) == (Outcome.MALFORMED, True)


async def test_a_body_above_the_cap_is_too_large(fake: FakeLLM) -> None:
    with pytest.raises(EndpointError) as caught:
        await ask(fake, max_body_bytes=20)
    assert caught.value.outcome is Outcome.TOO_LARGE


async def test_a_base_that_names_the_path_is_taken_as_it_is(fake: FakeLLM) -> None:
    await ask(fake, url=f"{fake.url}/embeddings?api-version=1")
    assert fake.requests[0].path == "/v1/embeddings?api-version=1"


@pytest.mark.parametrize(
    "wrong", [{"stream": True}, {"params": {"input": "x"}}, {"params": {"stream": True}}, {"model": ""}]
)
def test_settings_that_the_protocol_cannot_mean_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EmbeddingsSettings.model_validate({"url": "http://127.0.0.1:1/v1", "model": "m"} | wrong)
