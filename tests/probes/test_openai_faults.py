import asyncio
import contextlib
import gzip
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import aiohttp.abc
import orjson
import pytest

from probes import EndpointError, Outcome
from probes.clients.openai import OpenAIClient, OpenAISettings
from probes.clients.transport import new_session
from probes.errors import ConnectTimeout, Misconfigured, NameNotResolved, RateLimited, ServerFailed
from tests.fakes.llm import FakeLLM
from tests.probes.cases import question

KEY = "sk-test-0123456789abcdef"
ENDS = {
    "hang": Outcome.TIMEOUT,
    "slow_drip": Outcome.TIMEOUT,
    "cut_stream": Outcome.TRUNCATED,
    "reset": Outcome.RESET,
    "disconnect": Outcome.RESET,
    "invalid_utf8": Outcome.MALFORMED,
    "wrong_json": Outcome.MALFORMED,
    "no_choices": Outcome.MALFORMED,
    "html": Outcome.MALFORMED,
    "error_inside": Outcome.SERVER,
    "big_body": Outcome.TOO_LARGE,
    "400": Outcome.SERVER,
    "408": Outcome.SERVER,
    "422": Outcome.SERVER,
    "500": Outcome.SERVER,
    "503": Outcome.SERVER,
    "504": Outcome.SERVER,
    "429": Outcome.RATE_LIMITED,
    "401": Outcome.AUTH,
    "402": Outcome.AUTH,
    "403": Outcome.AUTH,
    "404": Outcome.AUTH,
    "302": Outcome.AUTH,
    "307": Outcome.AUTH,
}
DEADLINES = {"hang": 0.05, "slow_drip": 0.05}


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(answers={"2+2?": "4"}) as server:
        yield server


async def failure(
    url: str,
    *,
    timeout: float = 20.0,
    prompt: str = "2+2?",
    session: aiohttp.ClientSession | None = None,
    **settings: Any,
) -> EndpointError:
    made = OpenAISettings.model_validate({"url": url, "model": "m1", "api_key": KEY} | settings)
    client = OpenAIClient(made, session=session)
    try:
        with pytest.raises(EndpointError) as caught:
            await client.ask(question(prompt, timeout))
    finally:
        await client.close()
    assert KEY not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("fault", ENDS)
async def test_every_fault_ends_as_its_outcome(fake: FakeLLM, fault: str) -> None:
    fake.fault = fault
    error = await failure(fake.url, timeout=DEADLINES.get(fault, 20.0))
    assert error.outcome is ENDS[fault]


@pytest.mark.parametrize("fault", ["invalid_utf8", "wrong_json", "no_choices", "error_inside", "reset"])
async def test_faults_of_an_unstreamed_answer_end_alike(fake: FakeLLM, fault: str) -> None:
    fake.fault = fault
    assert (await failure(fake.url, stream=False)).outcome is ENDS[fault]


async def test_an_endpoint_that_recovers_is_well_again(fake: FakeLLM) -> None:
    fake.behave(fault="500", fault_count=1)
    client = OpenAIClient(OpenAISettings(url=fake.url, model="m1"))
    with pytest.raises(ServerFailed):
        await client.ask(question())
    assert (await client.ask(question())).text == "4"
    await client.close()


async def test_an_attempt_is_never_repeated(fake: FakeLLM) -> None:
    fake.fault = "disconnect"
    await failure(fake.url)
    assert len(fake.requests) == 1


async def test_a_redirect_is_not_followed(fake: FakeLLM) -> None:
    fake.fault = "307"
    assert "final address" in (await failure(fake.url)).detail
    assert len(fake.requests) == 1


async def test_a_closed_port_is_refused(fake: FakeLLM) -> None:
    await fake.down()
    assert (await failure(fake.url)).outcome is Outcome.REFUSED


async def test_a_name_without_an_address_is_dns() -> None:
    error = await failure("http://no-such-host.invalid/v1", timeout=5.0)
    assert error.outcome is Outcome.DNS


class SilentResolver(aiohttp.abc.AbstractResolver):
    """DNS that never answers."""

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> Any:
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None: ...


@pytest.mark.parametrize(("connect_timeout", "deadline"), [(0.02, 20.0), (20.0, 0.02)])
async def test_a_silent_resolver_is_dns_whichever_limit_passes_first(
    connect_timeout: float, deadline: float
) -> None:
    connector = aiohttp.TCPConnector(resolver=SilentResolver(), use_dns_cache=False)
    async with new_session(connect_timeout, connector) as session:
        error = await failure("http://slow.example/v1", timeout=deadline, session=session)
    assert isinstance(error, NameNotResolved)


async def test_a_host_that_drops_our_packets_is_a_connect_timeout() -> None:
    # A full accept queue: the kernel drops further SYNs, as a dead host would.
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        error = await failure(url, connect_timeout=0.05)
    assert isinstance(error, ConnectTimeout)


async def test_an_endpoint_without_encryption_is_tls(fake: FakeLLM) -> None:
    error = await failure(fake.url.replace("http:", "https:"))
    assert error.outcome is Outcome.TLS


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("9999999", 86_400.0),
        ("soon", None),
        ("nan", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
async def test_a_rate_limit_carries_its_wait(fake: FakeLLM, said: str, seconds: float | None) -> None:
    fake.behave(fault="429", retry_after=said)
    error = await failure(fake.url)
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


async def test_an_unknown_model_is_a_misconfiguration(fake: FakeLLM) -> None:
    fake.behave(fault="400", error_code="model_not_found")
    assert isinstance(await failure(fake.url), Misconfigured)


@pytest.mark.parametrize(
    ("code", "outcome"), [(429, Outcome.RATE_LIMITED), ("401", Outcome.AUTH), ("boom", Outcome.SERVER)]
)
async def test_an_error_inside_a_stream_counts_by_its_code(
    fake: FakeLLM, code: Any, outcome: Outcome
) -> None:
    fake.raw = [b"data: " + orjson.dumps({"error": {"message": "no", "code": code}}) + b"\n\n"]
    assert (await failure(fake.url)).outcome is outcome


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "engine died"}},
        {"error": "engine died"},
        {"object": "error", "message": "engine died", "code": 500},
        {"detail": "engine died"},
    ],
)
async def test_the_words_of_an_error_are_found_in_every_shape(fake: FakeLLM, body: Any) -> None:
    fake.raw, fake.raw_type = [orjson.dumps(body)], "application/json"
    error = await failure(fake.url)
    assert error.outcome is Outcome.SERVER
    assert "engine died" in error.detail


@pytest.mark.parametrize(
    "answer",
    [
        b"[]",
        b'{"choices": {}}',
        b'{"choices": [1]}',
        b'{"choices": [{"delta": "x"}]}',
        b'{"choices": [{"delta": {"content": 5}}]}',
        b'{"choices": [{"delta": {"tool_calls": "x"}}]}',
        b'{"choices": [{"delta": {"tool_calls": [3]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"function": 3}]}}]}',
        b'{"choices": [{"delta": {"content": "\\ud800"}}]}',
        b"[" * 100_000,
    ],
)
async def test_an_answer_of_the_wrong_shape_is_malformed(fake: FakeLLM, answer: bytes) -> None:
    fake.raw = [b"data: " + answer + b"\n\ndata: [DONE]\n\n"]
    assert (await failure(fake.url)).outcome is Outcome.MALFORMED


@pytest.mark.parametrize(
    "words",
    [
        f"Incorrect API key provided: {KEY}",
        f"key {KEY[:14]}... is wrong",
        "\x1b[31m" + KEY + "\x00",
        "x" * 190 + KEY,
        f"Bearer {KEY[4:]}",
    ],
)
async def test_an_echoed_key_never_shows(fake: FakeLLM, words: str) -> None:
    fake.behave(fault="401", error_message=words)
    detail = (await failure(fake.url)).detail
    assert KEY[4:] not in detail
    assert KEY[:14] not in detail
    assert "HTTP 401" in detail


async def test_an_echoed_header_never_shows(fake: FakeLLM) -> None:
    fake.behave(fault="500", error_message="you sent azure-secret-42 to me")
    detail = (await failure(fake.url, headers={"api-key": "azure-secret-42"})).detail
    assert detail == "HTTP 500: you sent [redacted] to me"


async def test_an_echoed_prompt_never_shows(fake: FakeLLM) -> None:
    prompt = "What is the name\nof the river behind our held-out case?"
    fake.behave(fault="400", error_message=f"cannot parse: {prompt[:40]}")
    assert (await failure(fake.url, prompt=prompt)).detail == "HTTP 400"


async def test_words_are_short_and_printable(fake: FakeLLM) -> None:
    fake.behave(fault="500", error_message="bad\x00 \u202ething\r\n happened " * 100)
    detail = (await failure(fake.url)).detail
    assert detail.isprintable()
    assert detail.startswith("HTTP 500: bad thing happened bad")
    assert len(detail) <= 220


@contextlib.asynccontextmanager
async def canned(answer: bytes) -> AsyncIterator[str]:
    """A server that gives these bytes to each request and closes; yields its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def test_a_refusal_whose_body_breaks_off_is_still_that_refusal() -> None:
    async with canned(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\nshort") as url:
        error = await failure(url)
    assert (error.outcome, error.detail) == (Outcome.SERVER, "HTTP 503")


async def test_a_body_without_a_length_that_just_ends_is_truncated() -> None:
    head = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    async with canned(head + b'data: {"choices": [{"delta": {"content": "he') as url:
        assert (await failure(url)).outcome is Outcome.TRUNCATED


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
async def test_a_server_of_another_kind_is_malformed(greeting: bytes) -> None:
    async with canned(greeting) as url:
        assert (await failure(url)).outcome is Outcome.MALFORMED


def gzipped(body: bytes) -> bytes:
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def test_a_body_in_another_encoding_than_it_says_is_malformed() -> None:
    async with canned(gzipped(b"not gzip!")) as url:
        assert (await failure(url)).outcome is Outcome.MALFORMED


async def test_the_cap_counts_what_a_small_body_unpacks_to() -> None:
    async with canned(gzipped(gzip.compress(b" " * 20_000_000))) as url:
        error = await failure(url, max_body_bytes=2_000_000)
    assert (error.outcome, error.detail) == (Outcome.TOO_LARGE, "the body passed 2000000 bytes")


async def test_cancelling_an_attempt_closes_its_connection(fake: FakeLLM) -> None:
    fake.fault = "hang"
    client = OpenAIClient(OpenAISettings(url=fake.url, model="m1"))
    attempt = asyncio.create_task(client.ask(question()))
    await fake.came.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    await fake.left.wait()
    fake.fault = "none"
    assert not (await client.ask(question())).timings.reused
    await client.close()


async def test_a_passed_deadline_closes_the_connection(fake: FakeLLM) -> None:
    fake.fault = "slow_drip"
    assert (await failure(fake.url, timeout=0.05)).outcome is Outcome.TIMEOUT
    await fake.left.wait()
