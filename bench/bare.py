"""The least that asking takes: a plain aiohttp loop without deadlines, outcomes, store or statistics.

As a process: `python -m bench.bare '{"mode": "closed", "url": ..., "cases": 1000, ...}'`. Written as anybody would
write it: one session, the library's own JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp

from bench.spent import cpu_seconds

Mode = Callable[..., Coroutine[Any, Any, dict[str, Any]]]


def _body(prompt: str, streamed: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": "m-1",
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": 16,
        "stream": streamed,
    }
    return {**body, "stream_options": {"include_usage": True}} if streamed else body


async def _ask(
    session: aiohttp.ClientSession, url: str, prompt: str, streamed: bool
) -> tuple[str, float, float, float]:
    """Gives the answer, when we started, when the first content came, when all had come."""
    began = time.monotonic()
    first = 0.0
    async with session.post(f"{url}/v1/chat/completions", json=_body(prompt, streamed)) as response:
        if not streamed:
            answer = (await response.json())["choices"][0]["message"]["content"]
            now = time.monotonic()
            return answer, began, now, now
        text, now = "", 0.0
        async for line in response.content:
            if not line.startswith(b"data: ") or line == b"data: [DONE]\n":
                continue
            now = time.monotonic()
            choices = json.loads(line[6:])["choices"]
            piece = choices[0]["delta"].get("content") if choices else ""
            if piece:
                first = first or now
                text += piece
        return text, began, first, now


async def closed(url: str, *, cases: int, concurrency: int, streamed: bool) -> dict[str, Any]:
    """All cases as fast as `concurrency` at a time allow."""
    before = cpu_seconds()
    right = 0
    waiting = iter(range(cases))
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def work() -> None:
            nonlocal right
            for n in waiting:
                answer, *_ = await _ask(session, url, f"q{n}", streamed)
                right += answer == f"a{n}"

        await asyncio.gather(*(work() for _ in range(concurrency)))
    return {"cpu": cpu_seconds() - before, "whole_cpu": cpu_seconds(), "right": right}


async def paced(url: str, *, cases: int, per_second: float) -> dict[str, Any]:
    """A request every 1 / `per_second` seconds, whatever became of those before: what each of them measured."""
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        start = loop.time() + 0.05

        async def one(n: int) -> tuple[str, float, float]:
            await asyncio.sleep(start + n / per_second - loop.time())
            _, began, first, ended = await _ask(session, url, f"q{n}", True)
            return f"q{n}", first - began, ended - began

        measured = await asyncio.gather(*(one(n) for n in range(cases)))
    return {"measured": measured}


async def tell(url: str, *, slack: str, token: str, channel: str, times: int) -> dict[str, Any]:
    """Asks, and posts the answer to Slack at once: when each answer was there, by the wall clock."""
    replied = []
    async with aiohttp.ClientSession() as session:
        for n in range(times):
            answer, *_ = await _ask(session, url, f"q{n}", True)
            replied.append(time.time())
            message = {"channel": channel, "text": answer}
            headers = {"Authorization": f"Bearer {token}"}
            async with session.post(f"{slack}chat.postMessage", json=message, headers=headers) as response:
                await response.read()
    return {"replied": replied}


def main() -> None:
    """Reads its order from the command line and answers with one line of JSON."""
    order = json.loads(sys.argv[1])
    modes: dict[str, Mode] = {"closed": closed, "paced": paced, "tell": tell}
    mode = modes[order.pop("mode")]
    print(json.dumps(asyncio.run(mode(order.pop("url"), **order))))


if __name__ == "__main__":
    main()
