"""The fake endpoint is what the kill tests count with: what it promises is tested too."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from probes.clients.openai import OpenAIClient, OpenAISettings
from tests.fakes.llm import Asked, FakeLLM
from tests.probes.cases import question

ROOT = Path(__file__).parents[2]


async def texts(fake: FakeLLM, prompts: list[str]) -> list[str]:
    client = OpenAIClient(OpenAISettings(url=fake.url, model="m"))
    try:
        return [reply.text for reply in await asyncio.gather(*(client.ask(question(p)) for p in prompts))]
    finally:
        await client.close()


async def test_skill_decides_by_prompt_and_repetition_whatever_the_order() -> None:
    prompts = [f"q{n}" for n in range(100)]

    def right(asked: Asked) -> str:
        return "right"

    async with (
        FakeLLM(answers=right, skill=0.8, seed=3) as one,
        FakeLLM(answers=right, skill=0.8, seed=3) as two,
    ):
        first = dict(zip(prompts, await texts(one, prompts), strict=True))
        again = list(reversed(prompts))
        second = dict(zip(again, await texts(two, again), strict=True))
    assert first == second
    assert 65 < sum(text == "right" for text in first.values()) < 93


async def test_a_share_and_a_count_limit_a_fault() -> None:
    async with FakeLLM(default_answer="ok") as fake:
        client = OpenAIClient(OpenAISettings(url=fake.url, model="m"))
        fake.behave(fault="500", fault_share=0.5)
        ends = await asyncio.gather(
            *(client.ask(question(f"q{n}")) for n in range(100)), return_exceptions=True
        )
        assert 25 < sum(isinstance(end, Exception) for end in ends) < 75
        fake.behave(fault_share=1.0, fault_count=3)
        ends = await asyncio.gather(*(client.ask(question()) for _ in range(10)), return_exceptions=True)
        assert sum(isinstance(end, Exception) for end in ends) == 3
        await client.close()


async def test_hooks_run_before_and_after_an_answer() -> None:
    seen: list[tuple[str, int]] = []

    async def before(asked: Asked) -> None:
        seen.append(("before", asked.n))

    async def after(asked: Asked) -> None:
        seen.append(("after", asked.n))

    async with FakeLLM(before_answer=before, after_answer=after) as fake:
        await texts(fake, ["q"])
    assert seen == [("before", 1), ("after", 1)]


async def test_it_goes_down_and_comes_up_on_the_same_port() -> None:
    async with FakeLLM(default_answer="ok") as fake:
        url = fake.url
        await fake.down()
        await fake.up()
        assert fake.url == url
        assert await texts(fake, ["q"]) == ["ok"]


@pytest.mark.parametrize("wrong", [{"fault": "nonsense"}, {"port": 1}, {"unheard_of": 1}])
async def test_unknown_behaviour_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unknown"):
        FakeLLM().behave(**wrong)


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    log = tmp_path / "llm.jsonl"
    fake = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fakes.llm", "--log", str(log)),
        *("--behaviour", '{"answers": {"q": "four"}}'),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert fake.stdout is not None
    yield (await fake.stdout.readline()).decode().split()[-1], log
    fake.send_signal(signal.SIGTERM)
    assert await fake.wait() == 0


async def test_as_a_process_it_logs_what_was_asked_and_paid(process: tuple[str, Path]) -> None:
    url, log = process
    client = OpenAIClient(OpenAISettings(url=url, model="m"))
    assert (await client.ask(question("q"))).text == "four"
    await client.close()
    base = url.removesuffix("/v1")
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{base}/fake/behaviour", json={"fault": "429"}) as response:
            assert (response.status, (await response.json())["fault"]) == (200, "429")
        async with session.post(f"{base}/fake/behaviour", json={"fault": "?"}) as response:
            assert response.status == 400
        async with session.post(f"{url}/chat/completions", json={"messages": []}) as response:
            assert response.status == 429
        async with session.get(f"{base}/fake/counts") as response:
            assert await response.json() == {"requests": 2, "answered": 2, "abandoned": 0}
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["event"], line["n"], line.get("status")) for line in lines] == [
        ("request", 1, None),
        ("answer", 1, 200),
        ("request", 2, None),
        ("answer", 2, 429),
    ]
