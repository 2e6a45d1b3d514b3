import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from pydantic import ValidationError

from probes import Message, Reply, Request, Usage
from probes.clients.openai import OpenAIClient, OpenAISettings
from probes.clients.transport import new_session
from probes.errors import TruncatedReply
from tests.fakes.llm import FakeLLM
from tests.probes.cases import question

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(answers={"2+2?": "It is four, of course."}) as server:
        yield server


async def ask(fake: FakeLLM, request: Request | None = None, **settings: Any) -> Reply:
    """One question by a client of its own."""
    client = OpenAIClient(OpenAISettings.model_validate({"url": fake.url, "model": "m1"} | settings))
    try:
        return await client.ask(request or question())
    finally:
        await client.close()


def event(**body: Any) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def piece(finish_reason: str | None = None, **delta: Any) -> bytes:
    return event(choices=[{"index": 0, "delta": delta, "finish_reason": finish_reason}])


DONE = b"data: [DONE]\n\n"


async def test_a_streamed_answer_comes_whole_with_usage_and_identity(fake: FakeLLM) -> None:
    fake.behave(input_tokens=11, output_tokens=7, cached_tokens=3, served_model="m1-2026", fingerprint="fp1")
    answer = await ask(fake)
    assert answer.text == "It is four, of course."
    assert answer.usage == Usage(input_tokens=11, output_tokens=7, cached_tokens=3)
    assert (answer.finish_reason, answer.served_model, answer.fingerprint) == ("stop", "m1-2026", "fp1")


async def test_an_unstreamed_answer_is_the_same_without_a_first_token(fake: FakeLLM) -> None:
    streamed, whole = await ask(fake), await ask(fake, stream=False)
    assert (whole.text, whole.usage, whole.finish_reason) == (
        streamed.text,
        streamed.usage,
        streamed.finish_reason,
    )
    assert streamed.timings.first_token is not None
    assert (whole.timings.first_token, whole.timings.between_tokens) == (None, None)


async def test_a_server_that_ignores_the_stream_is_understood(fake: FakeLLM) -> None:
    fake.stream_allowed = False
    assert (await ask(fake)).text == "It is four, of course."


async def test_the_request_holds_what_endpoint_and_case_want(fake: FakeLLM) -> None:
    request = Request(
        messages=(Message(role="system", content="Be brief."), Message(role="user", content="2+2?")),
        tools=({"type": "function", "function": {"name": "f"}},),
        format={"type": "json_object"},
        params={"temperature": 1, "seed": 5},
    )
    await ask(fake, request, params={"temperature": 0, "max_tokens": 9, "user": None})
    assert fake.requests[0].body == {
        "model": "m1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "2+2?"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_object"},
        "temperature": 1,
        "seed": 5,
        "max_tokens": 9,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_null_takes_out_what_an_old_server_does_not_know(fake: FakeLLM) -> None:
    assert (await ask(fake, params={"stream_options": None})).usage == Usage()
    assert "stream_options" not in fake.requests[0].body


@pytest.mark.parametrize("end", ["", "/", "/chat/completions", "/chat/completions?api-version=2026-01-01"])
async def test_the_url_may_be_a_base_or_the_whole_address(fake: FakeLLM, end: str) -> None:
    await ask(fake, url=fake.url + end)
    query = end.partition("?")[2]
    assert fake.requests[0].path == "/v1/chat/completions" + ("?" + query if query else "")


async def test_the_key_goes_as_a_bearer_token(fake: FakeLLM) -> None:
    await ask(fake, api_key=KEY + "\n")
    assert fake.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert fake.requests[0].headers["User-Agent"].startswith("plumbline")


@pytest.mark.parametrize("header", ["api-key", "Authorization"])
async def test_a_key_in_the_headers_takes_its_place(fake: FakeLLM, header: str) -> None:
    await ask(fake, api_key="other-key", headers={header: KEY})
    sent = fake.requests[0].headers
    assert sent[header] == KEY
    assert "other-key" not in str(sent)


async def test_without_a_key_nothing_is_claimed(fake: FakeLLM) -> None:
    await ask(fake)
    assert "Authorization" not in fake.requests[0].headers


async def test_a_second_request_reuses_the_connection_and_says_so(fake: FakeLLM) -> None:
    client = OpenAIClient(OpenAISettings(url=fake.url, model="m1"))
    first, second = (await client.ask(question())).timings, (await client.ask(question())).timings
    await client.close()
    assert (first.reused, second.reused) == (False, True)
    assert first.connect is not None
    assert (second.connect, second.dns) == (None, None)
    assert fake.requests[0].peer == fake.requests[1].peer


async def test_a_name_takes_time_to_resolve(fake: FakeLLM) -> None:
    timings = (await ask(fake, url=fake.url.replace("127.0.0.1", "localhost"))).timings
    assert timings.dns is not None
    assert timings.connect is not None
    assert 0 <= timings.dns + timings.connect <= timings.total


async def test_no_cookie_is_kept(fake: FakeLLM) -> None:
    client = OpenAIClient(OpenAISettings(url=fake.url, model="m1"))
    await client.ask(question())
    await client.ask(question())
    await client.close()
    assert "Cookie" not in fake.requests[1].headers


async def test_the_first_token_comes_before_the_whole(fake: FakeLLM) -> None:
    timings = (await ask(fake)).timings
    assert timings.first_token is not None
    assert 0 < timings.first_token <= timings.total


async def test_the_time_between_tokens_is_their_mean_distance(fake: FakeLLM) -> None:
    fake.raw = [piece(content="A"), piece(content="B"), piece("stop", content="C"), DONE]
    timings = (await ask(fake)).timings
    assert timings.first_token is not None
    assert timings.between_tokens is not None
    assert timings.first_token + 2 * timings.between_tokens <= timings.total
    fake.raw = [piece("stop", content="A"), DONE]
    assert (await ask(fake)).timings.between_tokens is None


async def test_comments_line_ends_and_cut_characters_do_no_harm(fake: FakeLLM) -> None:
    body = piece(content="é漢🙂") + piece("stop", content="!") + DONE
    noisy = b": keep-alive\r\n\r\n" + body.replace(b"\n", b"\r\n")
    fake.raw = [noisy[at : at + 3] for at in range(0, len(noisy), 3)]
    assert (await ask(fake)).text == "é漢🙂!"


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream"])
async def test_a_stream_that_does_not_name_its_type_is_read(fake: FakeLLM, content_type: str) -> None:
    fake.raw, fake.raw_type = [piece("stop", content="hello") + DONE], content_type
    assert (await ask(fake)).text == "hello"


@pytest.mark.parametrize(("total", "output"), [(17, 12), (10, 5), (99, 5), (None, 5)])
async def test_reasoning_that_a_server_counts_beside_the_output_is_added_to_it(
    fake: FakeLLM, total: int | None, output: int
) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": total}
    usage["completion_tokens_details"] = {"reasoning_tokens": 7}  # type: ignore[assignment]  # JSON
    fake.raw = [piece("stop", content="hi"), event(choices=[], usage=usage), DONE]
    assert (await ask(fake)).usage == Usage(input_tokens=5, output_tokens=output, reasoning_tokens=7)


async def test_a_usage_chunk_without_choices_is_read(fake: FakeLLM) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 1}}
    fake.raw = [piece("stop", content="hi"), event(choices=[], usage=usage), DONE]
    assert (await ask(fake)).usage == Usage(input_tokens=5, output_tokens=2, reasoning_tokens=1)


@pytest.mark.parametrize("count", [b"-1", b"2147483648", b"99999999999999999999999", b'"5"', b"true", b"{}"])
async def test_an_impossible_count_is_no_count(fake: FakeLLM, count: bytes) -> None:
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": ' + count + b"}}\n\n"
    fake.raw = [piece("stop", content="hi"), usage, DONE]
    assert (await ask(fake)).usage == Usage()


async def test_reasoning_is_not_part_of_the_answer(fake: FakeLLM) -> None:
    fake.behave(reasoning="let me think")
    assert (await ask(fake)).text == "It is four, of course."


async def test_a_refusal_is_the_text_where_there_is_no_other(fake: FakeLLM) -> None:
    fake.raw = [piece(refusal="I will "), piece("stop", refusal="not."), DONE]
    answer = await ask(fake)
    assert answer.text == "I will not."
    assert answer.timings.first_token is not None


async def test_tool_calls_are_put_together_by_index(fake: FakeLLM) -> None:
    def call(index: int, id: str | None = None, **function: str) -> bytes:
        return piece(tool_calls=[{"index": index, "id": id, "function": function}])

    fake.raw = [
        call(0, "a", name="add", arguments='{"x"'),
        call(1, "b", name="sub", arguments="{"),
        call(0, arguments=": 1}"),
        call(1, arguments="}"),
        piece("tool_calls"),
        DONE,
    ]
    answer = await ask(fake)
    assert [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in answer.tool_calls] == [
        ("a", "add", '{"x": 1}'),
        ("b", "sub", "{}"),
    ]
    assert answer.timings.first_token is not None


async def test_calls_that_all_claim_index_0_are_told_apart_by_id(fake: FakeLLM) -> None:
    calls = [{"index": 0, "id": name, "function": {"name": name, "arguments": "{}"}} for name in ("a", "b")]
    fake.raw = [piece(tool_calls=[calls[0]]), piece(tool_calls=[calls[1]]), piece("tool_calls"), DONE]
    assert [call["id"] for call in (await ask(fake)).tool_calls] == ["a", "b"]


async def test_a_stream_without_done_is_whole_once_it_named_its_end(fake: FakeLLM) -> None:
    fake.raw = [piece("stop", content="hello")]
    assert (await ask(fake)).text == "hello"


async def test_a_done_without_its_empty_line_is_done(fake: FakeLLM) -> None:
    fake.raw = [piece(content="hello"), b"data: [DONE]"]
    assert (await ask(fake)).text == "hello"


async def test_an_empty_stream_is_truncated(fake: FakeLLM) -> None:
    fake.raw = [b": hello\n\n"]
    with pytest.raises(TruncatedReply):
        await ask(fake)


async def test_a_server_that_keeps_the_body_open_after_done_costs_no_reply(fake: FakeLLM) -> None:
    never = asyncio.Event()
    fake.raw = [piece("stop", content="hello") + DONE, never.wait]
    assert (await ask(fake)).text == "hello"


async def test_hostile_labels_are_short_and_printable(fake: FakeLLM) -> None:
    fake.behave(served_model="m\x00\x1b[31m" + "x" * 5000, fingerprint="\u202e")
    answer = await ask(fake)
    assert answer.served_model is not None
    assert answer.served_model.isprintable()
    assert len(answer.served_model) <= 200
    assert answer.fingerprint is None


async def test_a_session_that_was_passed_in_stays_open(fake: FakeLLM) -> None:
    async with new_session(5.0) as session:
        client = OpenAIClient(OpenAISettings(url=fake.url, model="m1"), session=session)
        await client.ask(question())
        await client.close()
        assert not session.closed


async def test_a_closed_client_says_so_and_closing_twice_does_no_harm(fake: FakeLLM) -> None:
    client = OpenAIClient(OpenAISettings(url=fake.url, model="m1"))
    await client.ask(question())
    await client.close()
    await client.close()
    with pytest.raises(RuntimeError, match="closed"):
        await client.ask(question())


async def test_closing_while_an_attempt_waits_is_not_the_endpoints_failure(fake: FakeLLM) -> None:
    fake.fault = "hang"
    client = OpenAIClient(OpenAISettings(url=fake.url, model="m1"))
    attempt = asyncio.create_task(client.ask(question()))
    await fake.came.wait()
    await client.close()
    with pytest.raises(RuntimeError, match="closed while it asked"):
        await attempt


async def test_a_plain_session_works_without_connection_timings(fake: FakeLLM) -> None:
    async with aiohttp.ClientSession() as session:
        client = OpenAIClient(OpenAISettings(url=fake.url, model="m1"), session=session)
        timings = (await client.ask(question())).timings
    assert (timings.dns, timings.connect) == (None, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "ftp://host/v1"}, "http:// or https://"),
        ({"url": "127.0.0.1:9200"}, "http:// or https://"),
        ({"url": f"http://user:{KEY}@host/v1"}, "credentials"),
        ({"url": f"http://{'a' * 70}.example/v1"}, "host name"),
        ({"url": "http://host:99999/v1"}, "is no web address"),
        ({"model": ""}, "at least 1 character"),
        ({"api_key": f"{KEY}\nX: y"}, "control character"),
        ({"headers": {"a b": KEY}}, "letters"),
        ({"headers": {"x": f"{KEY}\x00"}}, "control character"),
        ({"params": {"stream": False}}, "stream"),
        ({"max_body_bytes": 0}, "greater than 0"),
        ({"temperature": KEY}, "Extra inputs"),
    ],
)
def test_wrong_settings_are_refused_without_showing_them(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OpenAISettings.model_validate({"url": "http://host/v1", "model": "m"} | change)
    assert said in str(caught.value)
    assert KEY not in str(caught.value)
