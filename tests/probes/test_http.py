from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

from probes import EndpointError, Message, Outcome, Reply, Request, Usage
from probes.clients.http import HttpClient, HttpSettings
from tests.fakes.llm import FakeLLM
from tests.probes.cases import question

KEY = "key-0123456789abcdef"
WHOLE: dict[str, Any] = {
    "body": {"prompt": "{{prompt}}"},
    "reply": {
        "text": 'result.parts[*].text | join("") | strip',
        "input_tokens": "cost.read",
        "output_tokens": "cost.written",
        "cached_tokens": "cost.from_cache",
        "model": "engine.name",
        "fingerprint": "engine.build",
    },
}


def streamed(kind: str) -> dict[str, Any]:
    reply = {"text": "token", "done": "done", "model": "engine.name", "output_tokens": "cost.written"}
    return {"body": {"prompt": "{{prompt}}", "stream": kind}, "stream": kind, "reply": reply}


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(answers={"2+2?": "It is four, of course."}) as server:
        yield server


async def ask(fake: FakeLLM, request: Request | None = None, **settings: Any) -> Reply:
    client = HttpClient(HttpSettings.model_validate({"url": f"{fake.url}/ask"} | settings))
    try:
        return await client.ask(request or question())
    finally:
        await client.close()


async def test_an_answer_is_found_by_its_paths(fake: FakeLLM) -> None:
    fake.behave(input_tokens=11, output_tokens=7, cached_tokens=3, served_model="app-2")
    answer = await ask(fake, **WHOLE)
    assert answer.text == "It is four, of course."
    assert answer.usage == Usage(input_tokens=11, output_tokens=7, cached_tokens=3)
    assert (answer.served_model, answer.fingerprint) == ("app-2", "fp_fake")
    assert answer.timings.first_token is None


@pytest.mark.parametrize("kind", ["sse", "ndjson"])
async def test_a_stream_is_read_piece_by_piece(fake: FakeLLM, kind: str) -> None:
    answer = await ask(fake, **streamed(kind))
    assert answer.text == "It is four, of course."
    assert (answer.served_model, answer.usage.output_tokens) == ("app-1", 5)
    assert answer.timings.first_token is not None
    assert answer.timings.between_tokens is not None


async def test_a_stream_without_a_known_end_ends_with_the_body(fake: FakeLLM) -> None:
    fake.raw, fake.raw_type = [b'{"token": "a"}\n\n{"token"', b': "b"}'], "application/jsonl"
    assert (await ask(fake, **streamed("ndjson") | {"reply": {"text": "token"}})).text == "ab"


async def test_text_needs_no_path(fake: FakeLLM) -> None:
    fake.raw, fake.raw_type = ["Fünf.".encode()], "text/plain"
    assert (await ask(fake, body={"q": "{{prompt}}"})).text == "Fünf."
    fake.raw_type = "text/markdown"
    assert (await ask(fake, body={"q": "{{prompt}}"})).text == "Fünf."


async def test_text_may_be_streamed_as_events(fake: FakeLLM) -> None:
    fake.raw = [b"data: It is\n\ndata:  four.\n\ndata: [DONE]\n\n"]
    answer = await ask(fake, body={"prompt": "{{prompt}}"}, stream="sse")
    assert answer.text == "It is four."
    assert answer.timings.first_token is not None


async def test_text_that_is_not_utf8_is_malformed(fake: FakeLLM) -> None:
    fake.raw, fake.raw_type = [b"\xff\xfe"], "text/plain"
    with pytest.raises(EndpointError) as caught:
        await ask(fake, body={"q": "{{prompt}}"})
    assert caught.value.outcome is Outcome.MALFORMED


async def test_a_missing_text_is_malformed_and_a_default_stands_in(fake: FakeLLM) -> None:
    with pytest.raises(EndpointError) as caught:
        await ask(fake, **WHOLE | {"reply": {"text": "reslut.text"}})
    assert (caught.value.outcome, caught.value.detail) == (
        Outcome.MALFORMED,
        "there is no text at the path `reply.text`",
    )
    answer = await ask(fake, **WHOLE | {"reply": {"text": 'reslut | default("nothing")'}})
    assert answer.text == "nothing"


async def test_a_message_is_an_answer_unless_a_path_calls_it_an_error(fake: FakeLLM) -> None:
    fake.raw, fake.raw_type = [b'{"message": "four", "detail": "x"}'], "application/json"
    assert (await ask(fake, body={}, reply={"text": "message"})).text == "four"


async def test_a_value_that_is_no_text_is_shown_as_json(fake: FakeLLM) -> None:
    fake.raw, fake.raw_type = [b'{"answer": {"n": 4}}'], "application/json"
    assert (await ask(fake, body={}, reply={"text": "answer"})).text == '{"n":4}'


async def test_tool_calls_are_found_by_their_path(fake: FakeLLM) -> None:
    fake.raw, fake.raw_type = [b'{"calls": [{"id": "c"}, 5], "text": ""}'], "application/json"
    answer = await ask(fake, body={}, reply={"text": "text", "tool_calls": "calls"})
    assert (answer.text, answer.tool_calls) == ("", ({"id": "c"},))


async def test_the_request_is_as_the_config_describes_it(fake: FakeLLM) -> None:
    request = Request(
        messages=(Message(role="system", content="Be brief."), Message(role="user", content="2+2?")),
        params={"top_k": 5},
    )
    body = {
        "question": "{{prompt}}",
        "history": "{{messages}}",
        "note": "rules: {{system}} k={{params.top_k}}",
        "top_k": "{{params.top_k}}",
        "tools": "{{tools}}",
        "user": None,
        "engine": "{{model}}",
    }
    headers = {"X-Key": KEY, "content-type": "application/vnd.app+json"}
    await ask(
        fake, request, **WHOLE | {"body": body, "headers": headers, "params": {"top_k": 3}, "model": "a"}
    )
    asked = fake.requests[0]
    assert asked.body == {
        "question": "2+2?",
        "history": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}],
        "note": "rules: Be brief. k=5",
        "top_k": 5,
        "user": None,
        "engine": "a",
    }
    assert asked.headers["X-Key"] == KEY
    assert asked.headers["Content-Type"] == "application/vnd.app+json"


async def test_an_answer_with_another_good_status_is_an_answer(fake: FakeLLM) -> None:
    fake.fault = "201"
    with pytest.raises(EndpointError, match="no text"):
        await ask(fake, **WHOLE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"body": "{{promt}}"}, "{{promt}} is no placeholder"),
        ({"body": [{"a": "x {{params.}}"}]}, "is no placeholder"),
        ({"body": {1: "x"}}, "put it in quotes"),
        ({"reply": {"text": "a..b"}}, "is no step"),
        ({"reply": {"text": "a | upper"}}, "is no filter"),
        ({"reply": {"model": "m"}}, "none to the text"),
        ({"stream": "ndjson"}, "add reply"),
        ({"stream": "lines"}, "'none', 'sse' or 'ndjson'"),
        ({"method": "DELETE"}, "'POST', 'PUT' or 'PATCH'"),
        ({"headers": {"x": f"{KEY}\x00"}}, "control character"),
    ],
)
def test_wrong_settings_are_refused_without_showing_secrets(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        HttpSettings.model_validate({"url": "http://host/ask", "body": {"q": "{{prompt}}"}} | change)
    assert said in str(caught.value)
    assert KEY not in str(caught.value)
