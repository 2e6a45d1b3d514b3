"""The endpoint of every benchmark: OpenAI chat completions with the right answer, stamping its own times.

Runs as a process of its own: `python -m bench.server`. The monotonic clock is one for all processes of a
machine, so its stamps can be compared with a client's.
"""

import asyncio
import random
import signal
import time
from typing import Any

import orjson
from aiohttp import web


def answer_to(prompt: str) -> str:
    """The right answer: `q17` -> `a17`."""
    return f"a{prompt[1:]}"


def _event(model: str, delta: dict[str, Any], **more: Any) -> bytes:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": model,
        "system_fingerprint": "fp_bench",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
        **more,
    }
    return b"data: " + orjson.dumps(body) + b"\n\n"


_USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


class Server:
    """Answers after `first` seconds, and `rest` seconds later whole; `spread` varies both by a seeded share."""

    def __init__(self) -> None:
        self.first = 0.0
        self.rest = 0.0
        self.spread = 0.0
        self.rng = random.Random(0)
        #: (prompt, request seen, first content sent, whole answer sent), monotonic seconds.
        self.stamps: list[tuple[str, float, float, float]] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_post("/bench/pace", self.pace)
        app.router.add_post("/bench/stamps", self.take)
        return app

    async def pace(self, request: web.Request) -> web.Response:
        """Sets the delays."""
        wanted = await request.json()
        self.first, self.rest, self.spread = (wanted[name] for name in ("first", "rest", "spread"))
        self.rng = random.Random(wanted["seed"])
        return web.json_response({})

    async def take(self, request: web.Request) -> web.Response:
        """Gives the stamps and forgets them."""
        taken, self.stamps = self.stamps, []
        return web.json_response(taken)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """One completion, streamed or whole."""
        seen = time.monotonic()
        body = orjson.loads(await request.read())
        prompt = body["messages"][-1]["content"]
        vary = self.rng.uniform(1 - self.spread, 1 + self.spread)
        if self.first:
            await asyncio.sleep(self.first * vary)
        if body.get("stream"):
            return await self._stream(request, body["model"], prompt, seen, self.rest * vary)
        if self.rest:
            await asyncio.sleep(self.rest * vary)
        sent = time.monotonic()
        self.stamps.append((prompt, seen, sent, sent))
        message = {"role": "assistant", "content": answer_to(prompt)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"]}
        whole = {**head, "system_fingerprint": "fp_bench", "choices": [choice], "usage": _USAGE}
        return web.Response(body=orjson.dumps(whole), content_type="application/json")

    async def _stream(
        self, request: web.Request, model: str, prompt: str, seen: float, rest: float
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        answer = answer_to(prompt)
        start = _event(model, {"role": "assistant", "content": ""}) + _event(model, {"content": answer[:1]})
        end = _event(model, {"content": answer[1:]})
        stop = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        end += _event(model, {}, choices=stop) + _event(model, {}, choices=[], usage=_USAGE)
        end += b"data: [DONE]\n\n"
        first = time.monotonic()
        if rest:
            await response.write(start)
            await asyncio.sleep(rest)
            sent = time.monotonic()
            await response.write(end)
        else:
            sent = first
            await response.write(start + end)
        self.stamps.append((prompt, seen, first, sent))
        await response.write_eof()
        return response


async def _serve() -> None:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    runner = web.AppRunner(Server().app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve())
