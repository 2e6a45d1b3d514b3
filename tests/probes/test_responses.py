from collections.abc import AsyncIterator
from typing import Any

import pytest

from probes import Message, Reply, Request, Usage
from probes.clients.responses import Response, ResponsesClient, ResponsesSettings
from probes.clients.transport import Connecting
from tests.fakes.llm import FakeLLM
from tests.fakes.responses_wire import named
from tests.probes.cases import question

KEY = "sk-test-0123456789abcdef"
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"x":1}'}}


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(answers={"2+2?": "It is four, of course."}) as server:
        yield server


async def ask(fake: FakeLLM, request: Request | None = None, **settings: Any) -> Reply:
    client = ResponsesClient(ResponsesSettings.model_validate({"url": fake.url, "model": "m1"} | settings))
    try:
        return await client.ask(request or question())
    finally:
        await client.close()


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_comes_whole_with_usage_and_identity(fake: FakeLLM, stream: bool) -> None:
    fake.behave(input_tokens=11, output_tokens=7, cached_tokens=3, served_model="m1-2026", reasoning="a b")
    answer = await ask(fake, stream=stream)
    assert answer.text == "It is four, of course."
    assert answer.usage == Usage(input_tokens=11, output_tokens=7, cached_tokens=3, reasoning_tokens=2)
    assert (answer.finish_reason, answer.served_model, answer.fingerprint) == ("stop", "m1-2026", None)
    assert (answer.timings.first_token is not None) is stream


@pytest.mark.parametrize("stream", [True, False])
async def test_function_calls_come_as_tool_calls(fake: FakeLLM, stream: bool) -> None:
    fake.behave(tool_calls=[CALL])
    answer = await ask(fake, stream=stream)
    assert answer.tool_calls == (CALL,)
    assert answer.finish_reason == "tool_calls"


async def test_reasoning_is_no_first_token() -> None:
    response = Response()
    response.add({"type": "response.created", "response": {"model": "m"}}, 1.0)
    response.add({"type": "response.reasoning_summary_text.delta", "delta": "hm"}, 2.0)
    response.add({"type": "response.output_text.delta", "delta": "A"}, 3.0)
    response.add({"type": "response.output_text.delta", "delta": "B"}, 5.0)
    timings = response.reply(0.0, 7.0, Connecting()).timings
    assert (timings.first_token, timings.between_tokens) == (3.0, 2.0)


async def test_a_server_that_does_not_repeat_the_output_is_understood(fake: FakeLLM) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    fake.raw = [
        named("response.output_text.delta", delta="four"),
        named("response.output_item.done", item=call),
        named("response.completed", response={"status": "completed", "model": "m"}),
    ]
    answer = await ask(fake)
    assert answer.text == "four"
    assert [each["id"] for each in answer.tool_calls] == ["c"]


async def test_a_refusal_is_the_text_where_there_is_no_other(fake: FakeLLM) -> None:
    part = {"type": "refusal", "refusal": "I will not."}
    whole = {"status": "completed", "output": [{"type": "message", "content": [part]}]}
    fake.raw = [named("response.refusal.delta", delta="I wi"), named("response.completed", response=whole)]
    assert (await ask(fake)).text == "I will not."


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter"), (None, "incomplete")],
)
async def test_an_incomplete_response_says_why(fake: FakeLLM, reason: str | None, finish: str) -> None:
    whole = {"status": "incomplete", "incomplete_details": {"reason": reason}, "output": []}
    fake.raw = [
        named("response.output_text.delta", delta="fou"),
        named("response.incomplete", response=whole),
    ]
    answer = await ask(fake)
    assert (answer.text, answer.finish_reason) == ("fou", finish)


async def test_the_request_holds_what_endpoint_and_case_want(fake: FakeLLM) -> None:
    schema = {"name": "n", "schema": {"type": "object"}, "strict": True}
    request = Request(
        messages=(Message(role="system", content="Be brief."), Message(role="user", content="2+2?")),
        tools=({"type": "function", "function": {"name": "f"}}, {"type": "web_search"}),
        format={"type": "json_schema", "json_schema": schema},
        params={"temperature": 1},
    )
    await ask(fake, request, api_key=KEY, params={"temperature": 0, "text": {"verbosity": "low"}})
    assert fake.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert fake.requests[0].body == {
        "model": "m1",
        "store": False,
        "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}],
        "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}],
        "text": {"format": {"type": "json_schema", **schema}, "verbosity": "low"},
        "temperature": 1,
        "stream": True,
    }


async def test_json_mode_and_store_go_as_they_stand(fake: FakeLLM) -> None:
    request = Request(messages=question().messages, format={"type": "json_object"}, params={"store": None})
    await ask(fake, request)
    assert fake.requests[0].body["text"] == {"format": {"type": "json_object"}}
    assert "store" not in fake.requests[0].body


async def test_a_conversation_with_tools_and_images_is_told_in_items(fake: FakeLLM) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
    messages = (
        Message(role="user", content=({"type": "text", "text": "What is it?"}, image)),
        Message(role="assistant", content="Let me see.", tool_calls=(CALL,)),
        Message(role="tool", tool_call_id="call_1", content="2"),
        Message(role="assistant", content=({"type": "text", "text": "Two."},)),
    )
    await ask(fake, Request(messages=messages))
    assert fake.requests[0].body["input"] == [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_image", "image_url": "https://x.example/a.png"},
            ],
        },
        {"role": "assistant", "content": "Let me see."},
        {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": '{"x":1}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "2"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Two."}]},
    ]


async def test_chosen_headers_of_the_answer_are_its_identity(fake: FakeLLM) -> None:
    fake.behave(answer_headers={"openai-version": "2020-10-01"})
    assert (await ask(fake, identity_headers=["OpenAI-Version"])).headers == {"openai-version": "2020-10-01"}
