"""A real HTTP server that speaks OpenAI's chat completions, responses and embeddings, Anthropic's messages and a
JSON dialect of its own, with faults on demand.

In a test: `async with FakeLLM(answers={"2+2?": "4"}) as fake: ... fake.fault = "500" ...`. Every public
attribute may be changed at any time. As a process: `python -m tests.fakes.llm --port 0 --log FILE`; its
behaviour is changed by `POST /fake/behaviour` with a JSON object of attributes.
"""

import argparse
import asyncio
import contextlib
import math
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import orjson
from aiohttp import web

from tests.fakes import llm_wire
from tests.fakes.llm_faults import FAULTS
from tests.fakes.wires import WIRES, prompt_of, stream_type, wire_of

Prompt = str
Hook = Callable[["Asked"], Awaitable[None]]

#: Attributes that only code can set, not `POST /fake/behaviour`.
_NOT_JSON = {"raw", "raw_type", "before_answer", "after_answer", "log_path", "port"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    n: int
    at: float
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    prompt: Prompt
    peer: tuple[str, int]


@dataclass
class FakeLLM:
    """The server. `answers` may be a table (last user message -> answer) or a function of the request.

    Attributes:
        skill: Probability of the right answer; else `wrong_answer`. Seeded per prompt and repetition, so the
            order of concurrent requests changes nothing.
        latency: Seconds before the first token; with `latency_sigma`, the median of a log-normal.
        chunk_delay: Seconds between the pieces of a stream.
        fault: One of `llm_faults.FAULTS`, an HTTP status ("429"), or "none".
        fault_share: Share of the requests that meet the fault; `fault_count` limits it to the next n.
        raw: Body of every answer in place of a completion: bytes are written, awaitables are awaited.
        before_answer: Awaited when a request was read, `after_answer` when its answer was sent whole.
    """

    answers: Mapping[Prompt, str] | Callable[[Asked], str] = field(default_factory=dict)
    default_answer: str = "I do not know."
    wrong_answer: str = "I am not sure."
    skill: float = 1.0
    seed: int = 0
    latency: float = 0.0
    latency_sigma: float = 0.0
    chunk_delay: float = 0.0
    fault: str = "none"
    fault_share: float = 1.0
    fault_count: int | None = None
    retry_after: str = "7"
    error_message: str = "The fake was told to fail."
    error_code: Any = None
    error_type: str = "fake_error"
    served_model: str | None = None
    fingerprint: str | None = "fp_fake"
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    stream_allowed: bool = True
    answer_headers: dict[str, str] = field(default_factory=dict)
    raw: Sequence[llm_wire.Part] | None = None
    raw_type: str = "text/event-stream"
    before_answer: Hook | None = None
    after_answer: Hook | None = None
    log_path: str | None = None
    port: int = 0

    def __post_init__(self) -> None:
        self.requests: list[Asked] = []
        #: Requests whose answer was sent whole.
        self.answered = 0
        #: Requests whose client went away before the answer was whole.
        self.abandoned = 0
        #: Wake who waits for a request to come, or for a client to go away.
        self.came, self.left = asyncio.Event(), asyncio.Event()
        self._seen: dict[Prompt, int] = {}
        self._log: int | None = None
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    @property
    def url(self) -> str:
        """The base URL, as an endpoint's `url` wants it."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        """Listens on 127.0.0.1; port 0 takes a free one."""
        if self.log_path is not None:
            self._log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        app = web.Application(client_max_size=64 * 2**20)
        for path in WIRES:
            app.router.add_post(path, self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/fake/behaviour", self._behave)
        app.router.add_get("/fake/counts", self._counts)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.05)
        await self._runner.setup()
        await self.up()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stops; what still hangs is cut off."""
        assert self._runner is not None
        await self._runner.cleanup()
        if self._log is not None:
            os.close(self._log)

    async def down(self) -> None:
        """Stops listening and cuts all connections: new ones are refused."""
        assert self._runner is not None
        assert self._site is not None
        await self._site.stop()
        if self._runner.server is not None:
            for connection in list(self._runner.server.connections):
                connection.force_close()

    async def up(self) -> None:
        """Listens (again), on the same port as before."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True, backlog=1024)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    def behave(self, **attributes: Any) -> None:
        """Sets several attributes at once; unknown ones and unknown faults are refused."""
        if unknown := attributes.keys() - self._behaviour():
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        fault = str(attributes.get("fault", "none"))
        if not (fault in FAULTS or fault == "none" or fault.isdecimal()):
            raise ValueError(f"unknown fault; known: a status, none, {', '.join(sorted(FAULTS))}")
        for name, value in attributes.items():
            setattr(self, name, value)

    def _behaviour(self) -> set[str]:
        return {each.name for each in fields(self)} - _NOT_JSON

    # -- one request

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = await self._note(request)
        try:
            if self.before_answer is not None:
                await self.before_answer(asked)
            rng = self._rng(asked.prompt)
            if self.latency:
                await asyncio.sleep(self._wait(rng))
            response = await self._answer(request, asked, rng)
        except (asyncio.CancelledError, ConnectionError):
            self.abandoned += 1
            self.left.set()
            self._write("abandoned", asked)
            raise
        return response

    async def _note(self, request: web.Request) -> Asked:
        body = orjson.loads(await request.read())
        prompt = prompt_of(body)
        peer = request.transport.get_extra_info("peername") if request.transport else ("", 0)
        headers = dict(request.headers)
        asked = Asked(len(self.requests) + 1, time.time(), request.path_qs, headers, body, prompt, peer)
        self.requests.append(asked)
        self._write("request", asked)
        self.came.set()
        return asked

    async def _answer(self, request: web.Request, asked: Asked, rng: random.Random) -> web.StreamResponse:
        if self.raw is not None:
            return await self._send(request, asked, self.raw_type, self.raw)
        fault = self._fault(rng)
        if fault.isdecimal():
            return await self._refuse(request, asked, fault)
        if fault != "none":
            return await FAULTS[fault](self, request, asked)
        text = self._text(asked, rng)
        if asked.body.get("stream") and self.stream_allowed:
            parts = wire_of(asked).stream(self, asked, text)
            return await self._send(request, asked, stream_type(asked), parts)
        whole = orjson.dumps(wire_of(asked).completion(self, asked, text))
        return await self._send(request, asked, "application/json", [whole])

    async def _send(
        self,
        request: web.Request,
        asked: Asked,
        content_type: str,
        parts: Sequence[llm_wire.Part],
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type, **self.answer_headers})
        await response.prepare(request)
        for part in parts:
            if isinstance(part, bytes):
                await response.write(part)
            else:
                await part()
        await response.write_eof()
        await self.done(asked, 200)
        return response

    async def done(self, asked: Asked, status: int) -> None:
        """The answer was sent whole."""
        self.answered += 1
        self._write("answer", asked, status=status)
        if self.after_answer is not None:
            await self.after_answer(asked)

    async def _refuse(self, request: web.Request, asked: Asked, fault: str) -> web.StreamResponse:
        status = int(fault)
        headers = {"Retry-After": self.retry_after} if status == 429 else {}
        if 300 <= status < 400:
            headers["Location"] = "/v1/elsewhere"
        error = {"message": self.error_message, "type": self.error_type, "code": self.error_code}
        response = web.json_response({"error": error}, status=status, headers=headers)
        await response.prepare(request)
        await response.write_eof()
        await self.done(asked, status)
        return response

    # -- what it says

    def _rng(self, prompt: Prompt) -> random.Random:
        repetition = self._seen[prompt] = self._seen.get(prompt, 0) + 1
        return random.Random(f"{self.seed}:{repetition}:{prompt}")

    def _wait(self, rng: random.Random) -> float:
        spread = rng.gauss(0.0, self.latency_sigma) if self.latency_sigma else 0.0
        return self.latency * math.exp(spread)

    def _fault(self, rng: random.Random) -> str:
        if self.fault == "none" or rng.random() >= self.fault_share:
            return "none"
        if self.fault_count is not None:
            if self.fault_count <= 0:
                return "none"
            self.fault_count -= 1
        return self.fault

    def _text(self, asked: Asked, rng: random.Random) -> str:
        if rng.random() >= self.skill:
            return self.wrong_answer
        if callable(self.answers):
            return self.answers(asked)
        return self.answers.get(asked.prompt, self.default_answer)

    # -- beside the protocol

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": self.served_model or "fake"}]})

    async def _behave(self, request: web.Request) -> web.Response:
        try:
            self.behave(**orjson.loads(await request.read()))
        except (ValueError, TypeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({name: getattr(self, name) for name in self._behaviour() - {"answers"}})

    async def _counts(self, request: web.Request) -> web.Response:
        counts = {"requests": len(self.requests), "answered": self.answered, "abandoned": self.abandoned}
        return web.json_response(counts)

    def _write(self, event: str, asked: Asked, **more: Any) -> None:
        if self._log is None:
            return
        line = {"event": event, "n": asked.n, "at": time.time(), "prompt": asked.prompt, **more}
        os.write(self._log, orjson.dumps(line) + b"\n")  # straight to the kernel: a kill of us loses nothing


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    fake = FakeLLM(port=arguments.port, log_path=arguments.log)
    fake.behave(**orjson.loads(arguments.behaviour))
    async with fake:
        print(f"listening on {fake.url}", flush=True)
        await stop.wait()


def main() -> None:
    """Runs the fake as a process, until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.llm")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", help="one JSON line per request and answer is appended here")
    parser.add_argument("--behaviour", default="{}", help="JSON object of attributes")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
