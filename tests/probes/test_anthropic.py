from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

from probes import Message, Reply, Request, Usage
from probes.clients.anthropic import AnthropicClient, AnthropicMessage, AnthropicSettings
from probes.clients.transport import Connecting
from tests.fakes.llm import FakeLLM
from tests.probes.cases import question

KEY = "sk-ant-0123456789abcdef"
CALL = {"id": "toolu_1", "type": "function", "function": {"name": "add", "arguments": '{"x":1}'}}


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(answers={"2+2?": "It is four, of course."}) as server:
        yield server


async def ask(fake: FakeLLM, request: Request | None = None, **settings: Any) -> Reply:
    client = AnthropicClient(AnthropicSettings.model_validate({"url": fake.url, "model": "c1"} | settings))
    try:
        return await client.ask(request or question())
    finally:
        await client.close()


async def sent(fake: FakeLLM, *messages: Message, **settings: Any) -> dict[str, Any]:
    await ask(fake, Request(messages=messages), **settings)
    return fake.requests[-1].body


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_comes_whole_with_usage_and_identity(fake: FakeLLM, stream: bool) -> None:
    fake.behave(input_tokens=11, output_tokens=7, cached_tokens=3, served_model="c1-2026", reasoning="hm")
    answer = await ask(fake, stream=stream)
    assert answer.text == "It is four, of course."
    assert answer.usage == Usage(input_tokens=11, output_tokens=7, cached_tokens=3)
    assert (answer.finish_reason, answer.served_model, answer.fingerprint) == ("stop", "c1-2026", None)
    assert (answer.timings.first_token is not None) is stream


def test_input_that_the_protocol_counts_apart_is_added_up() -> None:
    apart = {"input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2}
    answer = AnthropicMessage()
    answer.add({"type": "message", "content": [], "usage": {**apart, "output_tokens": 4}}, None)
    assert answer.usage == Usage(input_tokens=10, output_tokens=4, cached_tokens=3)


@pytest.mark.parametrize("stream", [True, False])
async def test_tool_use_comes_as_a_tool_call(fake: FakeLLM, stream: bool) -> None:
    fake.behave(tool_calls=[CALL, CALL | {"id": "toolu_2", "function": {"name": "now", "arguments": "{}"}}])
    answer = await ask(fake, stream=stream)
    assert answer.tool_calls[0] == CALL
    assert answer.tool_calls[1]["function"] == {"name": "now", "arguments": "{}"}
    assert answer.finish_reason == "tool_calls"


async def test_a_tool_without_parameters_has_an_empty_object() -> None:
    message = AnthropicMessage()
    message.add({"type": "message_start", "message": {}}, 1.0)
    block = {"type": "tool_use", "id": "t", "name": "now", "input": {}}
    message.add({"type": "content_block_start", "index": 0, "content_block": block}, 2.0)
    reply = message.reply(0.0, 3.0, Connecting())
    assert reply.tool_calls[0]["function"]["arguments"] == "{}"
    assert reply.timings.first_token == 2.0


async def test_thinking_is_no_first_token() -> None:
    message = AnthropicMessage()
    message.add({"type": "message_start", "message": {}}, 1.0)
    for now, delta in [
        (2.0, {"type": "thinking_delta", "thinking": "hm"}),
        (3.0, {"type": "signature_delta", "signature": "x"}),
        (4.0, {"type": "text_delta", "text": "A"}),
        (6.0, {"type": "text_delta", "text": "B"}),
    ]:
        message.add({"type": "content_block_delta", "index": 0, "delta": delta}, now)
    timings = message.reply(0.0, 7.0, Connecting()).timings
    assert (timings.first_token, timings.between_tokens) == (4.0, 2.0)


async def test_the_key_and_the_version_go_in_headers(fake: FakeLLM) -> None:
    await ask(fake, api_key=KEY)
    headers = fake.requests[0].headers
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert "Authorization" not in headers
    await ask(fake, api_key=KEY, headers={"Authorization": "Bearer t", "Anthropic-Version": "2030-01-01"})
    headers = {name.lower(): value for name, value in fake.requests[1].headers.items()}
    assert "x-api-key" not in headers
    assert headers["anthropic-version"] == "2030-01-01"


@pytest.mark.parametrize("end", ["", "/", "/messages"])
async def test_the_url_may_be_a_base_or_the_whole_address(fake: FakeLLM, end: str) -> None:
    await ask(fake, url=fake.url + end)
    assert fake.requests[0].path == "/v1/messages"


async def test_the_request_holds_what_endpoint_and_case_want(fake: FakeLLM) -> None:
    function = {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}
    request = Request(
        messages=(Message(role="system", content="Be brief."), Message(role="user", content="2+2?")),
        tools=({"type": "function", "function": function}, {"type": "web_search_20250305", "name": "search"}),
        format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        params={"temperature": 1},
    )
    await ask(fake, request, params={"temperature": 0, "output_config": {"effort": "low"}})
    assert fake.requests[0].body == {
        "model": "c1",
        "max_tokens": 1024,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "2+2?"}],
        "tools": [
            {"name": "add", "description": "Adds.", "input_schema": {"type": "object"}},
            {"type": "web_search_20250305", "name": "search"},
        ],
        "output_config": {
            "format": {"type": "json_schema", "schema": {"type": "object"}},
            "effort": "low",
        },
        "temperature": 1,
        "stream": True,
    }


async def test_a_conversation_with_tools_is_told_in_blocks(fake: FakeLLM) -> None:
    other = {"id": "toolu_2", "type": "function", "function": {"name": "now", "arguments": ""}}
    body = await sent(
        fake,
        Message(role="user", content="1+1 and the time?"),
        Message(role="assistant", content="Let me see.", tool_calls=(CALL, other)),
        Message(role="tool", tool_call_id="toolu_1", content="2"),
        Message(role="tool", tool_call_id="toolu_2", content="noon"),
        Message(role="user", content="So?"),
    )
    assert body["messages"] == [
        {"role": "user", "content": "1+1 and the time?"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"x": 1}},
                {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "2"},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "noon"},
            ],
        },
        {"role": "user", "content": "So?"},
    ]
    assert "system" not in body


async def test_images_go_by_url_or_as_data(fake: FakeLLM) -> None:
    def image(url: str) -> dict[str, Any]:
        return {"type": "image_url", "image_url": {"url": url}}

    text = {"type": "text", "text": "What is it?"}
    parts = (text, image("https://x.example/a.png"), image("data:image/png;base64,AAAA"))
    body = await sent(fake, Message(role="user", content=parts))
    assert body["messages"][0]["content"] == [
        text,
        {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
    ]


async def test_blocks_of_the_protocols_own_go_through(fake: FakeLLM) -> None:
    block = {"type": "text", "text": "Long rules.", "cache_control": {"type": "ephemeral"}}
    body = await sent(fake, Message(role="system", content=(block,)), Message(role="user", content="2+2?"))
    assert body["system"] == [block]


async def test_arguments_that_are_no_json_are_wrapped(fake: FakeLLM) -> None:
    broken = CALL | {"function": {"name": "add", "arguments": "x=1"}}
    body = await sent(fake, Message(role="assistant", tool_calls=(broken,)))
    assert body["messages"][0]["content"][0]["input"] == {"arguments": "x=1"}


async def test_chosen_headers_of_the_answer_are_its_identity(fake: FakeLLM) -> None:
    fake.behave(answer_headers={"X-Build": "b7", "X-Echo": f"you are {KEY}", "X-Other": "no"})
    answer = await ask(fake, api_key=KEY, identity_headers=["x-build", "X-Echo", "x-absent"])
    assert answer.headers == {"x-build": "b7", "x-echo": "you are [redacted]"}


@pytest.mark.parametrize(
    "change",
    [
        {"params": {"system": "x"}},
        {"version": "a b"},
        {"identity_headers": ["Set-Cookie"]},
        {"identity_headers": ["a b"]},
        {"api_key": f"{KEY}\nX: y"},
    ],
)
def test_wrong_settings_are_refused_without_showing_them(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        AnthropicSettings.model_validate({"url": "http://host/v1", "model": "m"} | change)
    assert KEY not in str(caught.value)
