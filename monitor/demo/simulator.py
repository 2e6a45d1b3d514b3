"""A simulated LLM endpoint, as a process of its own: `python -m monitor.demo.simulator --port 8485`.

It speaks OpenAI's chat completions over real HTTP and shares nothing with the daemon that watches it. What
goes wrong, and when, follows from its seed; it tells only under `GET /simulator/truth`.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from monitor.demo.mind import MEANING, MODEL, Answer, Fault, answer, plan, questions, tokens

_BANNER = (
    "Plumbline's simulator: a stand-in for an LLM endpoint, with scripted answers and no model behind it.\n"
)
#: Share of the requests that meet an HTTP 500 under the fault `errors`.
_ERROR_SHARE = 0.25


@dataclass
class Simulator:
    """The simulated endpoint.

    Attributes:
        seed: Answers, times and the fault follow from it.
        kind: Which fault: one of `Fault`, "auto" or "none".
        after: Requests from `start` to the fault; None lets the seed choose.
    """

    seed: int
    kind: str = "auto"
    after: int | None = None
    _asked: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = questions()
        self._fault, drawn = plan(self.seed, self.kind)
        self._after = drawn if self.after is None else self.after
        self._requests = 0
        self._started_at: int | None = None  # the request after which `start` came
        self._began: float | None = None
        self._healed: float | None = None

    def app(self) -> web.Application:
        """Its routes."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/", self._banner)
        app.router.add_get("/simulator/truth", self._truth)
        app.router.add_post("/simulator/start", self._start)
        app.router.add_post("/simulator/heal", self._heal)
        return app

    def _current(self) -> Fault | None:
        """The fault of the request that just came; the first one to meet it notes the time."""
        if self._fault is None or self._started_at is None or self._healed is not None:
            return None
        if self._requests - self._started_at <= self._after:
            return None
        if self._began is None:
            self._began = time.time()
        return self._fault

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        try:
            body = orjson.loads(await request.read())
            question = str(next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user"))
        except (orjson.JSONDecodeError, KeyError, TypeError, StopIteration):
            return _error(400, "the simulator wants OpenAI's chat completions, with a message of the user")
        self._requests += 1
        fault = self._current()
        nth = self._asked[question] = self._asked.get(question, 0) + 1
        rng = random.Random(f"{self.seed}:{nth}:{question}")  # noqa: S311 - a demo must repeat
        if fault is Fault.DOWN and request.transport is not None:
            request.transport.abort()
            return web.Response()
        said = answer(self._known.get(question), fault, rng)
        await asyncio.sleep(said.first_token)
        if fault is Fault.ERRORS and rng.random() < _ERROR_SHARE:
            return _error(500, "the simulator's simulated GPU fell over")
        reply = _Reply(id=f"chatcmpl-simulator-{self._requests}", question=question, said=said)
        if body.get("stream"):
            return await reply.stream(
                request, usage=bool((body.get("stream_options") or {}).get("include_usage"))
            )
        return await reply.whole()

    async def _models(self, request: web.Request) -> web.Response:
        return _json({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "simulator"}]})

    async def _banner(self, request: web.Request) -> web.Response:
        return web.Response(text=_BANNER)

    async def _truth(self, request: web.Request) -> web.Response:
        fault = self._fault
        return _json(
            {
                "seed": self.seed,
                "fault": fault,
                "meaning": MEANING[fault] if fault else "nothing went wrong",
                "after_requests": self._after if fault else None,
                "began": self._began,
                "healed": self._healed,
                "requests": self._requests,
            }
        )

    async def _start(self, request: web.Request) -> web.Response:
        if self._started_at is None:
            self._started_at = self._requests
        return _json({"started": True})

    async def _heal(self, request: web.Request) -> web.Response:
        self._healed = time.time()
        return _json({"healed": True})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reply:
    """One answer on the wire."""

    id: str
    question: str
    said: Answer

    async def stream(self, request: web.Request, *, usage: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await self._send(response, [{"index": 0, "delta": {"role": "assistant", "content": ""}}])
        text = self.said.text
        for at in range(0, len(text), 16):
            piece = text[at : at + 16]
            await self._send(response, [{"index": 0, "delta": {"content": piece}}])
            await asyncio.sleep(self.said.per_token * tokens(piece))
        await self._send(response, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        if usage:
            await self._send(response, [], usage=self._usage())
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def whole(self) -> web.Response:
        await asyncio.sleep(self.said.per_token * tokens(self.said.text))
        message = {"role": "assistant", "content": self.said.text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return _json({**self._head("chat.completion"), "choices": [choice], "usage": self._usage()})

    async def _send(self, response: web.StreamResponse, choices: list[dict[str, Any]], **more: Any) -> None:
        event = {**self._head("chat.completion.chunk"), "choices": choices, **more}
        await response.write(b"data: " + orjson.dumps(event) + b"\n\n")

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": int(time.time()), "model": MODEL}

    def _usage(self) -> dict[str, int]:
        into, out = 8 + tokens(self.question), tokens(self.said.text)
        return {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def _error(status: int, message: str) -> web.Response:
    return _json({"error": {"message": message, "type": "simulated_error"}}, status)


async def serve(simulator: Simulator, port: int, *, with_stdin: bool) -> None:
    """Serves on 127.0.0.1 until SIGTERM; with `with_stdin` also until stdin ends: whoever held it is gone then."""
    runner = web.AppRunner(simulator.app(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        sys.stdout.write(f"{_BANNER}listening on http://127.0.0.1:{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        if with_stdin:
            loop.add_reader(sys.stdin.fileno(), _end_with_stdin, stop)
        await stop.wait()
    finally:
        await runner.cleanup()


def _end_with_stdin(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        stop.set()


def main() -> None:
    """Runs the simulator as a process."""
    parser = argparse.ArgumentParser(prog="python -m monitor.demo.simulator", description=_BANNER)
    parser.add_argument("--port", type=int, default=8485, help="0 lets the system choose")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", default="auto", choices=["auto", "none", *Fault])
    parser.add_argument("--after", type=int, help="requests from start to the fault; by default the seed's")
    parser.add_argument("--with-stdin", action="store_true", help="end when stdin ends")
    arguments = parser.parse_args()
    simulator = Simulator(seed=arguments.seed, kind=arguments.fault, after=arguments.after)
    try:
        asyncio.run(serve(simulator, arguments.port, with_stdin=arguments.with_stdin))
    except OSError as error:
        parser.exit(4, f"the simulator cannot listen on port {arguments.port}: {error.strerror}\n")


if __name__ == "__main__":
    main()
