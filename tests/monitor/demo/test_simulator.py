"""The simulator over HTTP, asked by the product's own client."""

from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from monitor.demo.mind import MODEL
from monitor.demo.simulator import Simulator
from probes import Message, Request
from probes.clients.openai import OpenAIClient, OpenAISettings
from probes.errors import ConnectionReset, ServerFailed

FRANCE = "What is the capital of France? Answer with the city's name only, in plain letters."


@asynccontextmanager
async def serving(**more):
    runner = web.AppRunner(Simulator(**{"seed": 1, **more}).app(), access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def asking(url, **more):
    client = OpenAIClient(OpenAISettings(url=f"{url}/v1", model=MODEL, **more))
    try:
        yield lambda text=FRANCE: client.ask(
            Request(messages=(Message(role="user", content=text),), timeout=10.0)
        )
    finally:
        await client.close()


async def get(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.json()


async def post(url):
    async with aiohttp.ClientSession() as session, session.post(url) as response:
        assert response.status == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_it_speaks_the_protocol_and_says_what_it_is(stream):
    async with serving() as url, asking(url, stream=stream) as ask:
        reply = await ask()
    assert (reply.text, reply.served_model, reply.finish_reason) == ("Paris", MODEL, "stop")
    assert "simulator" in MODEL
    assert reply.usage.input_tokens > 20
    assert reply.usage.output_tokens == 2
    assert 0.02 < reply.timings.total < 2.0
    assert (reply.timings.first_token is not None) is stream


async def test_a_question_that_it_does_not_know_is_answered_as_a_simulator_would():
    async with serving() as url, asking(url) as ask:
        assert "I am a simulator" in (await ask("Who are you?")).text


async def test_what_is_no_question_is_refused():
    async with serving() as url, aiohttp.ClientSession() as session:
        response = await session.post(f"{url}/v1/chat/completions", data=b"[1]")
        assert response.status == 400


async def test_the_fault_begins_after_start_and_its_requests_and_ends_when_healed():
    async with serving(kind="down", after=1) as url, asking(url) as ask:
        for _ in range(3):
            await ask()  # before start nothing counts
        await post(f"{url}/simulator/start")
        await ask()
        assert (await get(f"{url}/simulator/truth"))["began"] is None
        with pytest.raises(ConnectionReset):
            await ask()
        truth = await get(f"{url}/simulator/truth")
        assert (truth["fault"], truth["after_requests"], truth["healed"]) == ("down", 1, None)
        assert truth["began"] is not None
        await post(f"{url}/simulator/heal")
        await ask()
        assert (await get(f"{url}/simulator/truth"))["healed"] >= truth["began"]


async def test_errors_hit_a_share_of_the_requests():
    async with serving(kind="errors", after=0) as url, asking(url) as ask:
        await post(f"{url}/simulator/start")
        ended = []
        for _ in range(12):
            try:
                ended.append((await ask()).text)
            except ServerFailed:
                ended.append("error")
    assert 1 <= ended.count("error") <= 8


async def test_without_a_fault_the_truth_is_that_nothing_went_wrong():
    async with serving(kind="none", after=0) as url, asking(url) as ask:
        await post(f"{url}/simulator/start")
        await ask()
        truth = await get(f"{url}/simulator/truth")
    assert (truth["fault"], truth["meaning"], truth["began"]) == (None, "nothing went wrong", None)
