"""A Slack Web API as a real server: what Slack stores, limits and refuses, and failures on demand.

In a test: `async with FakeSlack() as slack: ... slack.settings() ...`. Alone, with one JSON line a call:
`python -m tests.fakes.slack --port 9400 --log slack.jsonl`.
"""

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from tests.fakes.slack_workspace import Answer, Message, Workspace, refused

TOKEN = "xoxb-fake-token"
CHANNEL = "C0123456"


@dataclass
class Call:
    """One request as it came in from one connection, and its answer: "ok", Slack's error or the fault."""

    method: str
    arguments: Answer
    peer: str
    answered: str = ""
    ts: str | None = None


@dataclass
class Fault:
    """A failure to come; see `FakeSlack.fail_next`."""

    kind: str
    times: float
    method: str | None
    retry_after: float
    late: bool


class FakeSlack:
    """The server, with the workspace of one app.

    Attributes:
        calls: Every request, in order.
        before_answer: Awaited when the call has had its effect and nothing was answered yet.
        after_answer: Awaited when the answer is out.
    """

    def __init__(
        self,
        *,
        token: str = TOKEN,
        channels: tuple[str, ...] = (CHANNEL,),
        port: int = 0,
        log: Path | None = None,
        page: int = 200,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.token = token
        self.workspace = Workspace(channels, page, clock)
        self.calls: list[Call] = []
        self.before_answer: Callable[[Call], Awaitable[None]] | None = None
        self.after_answer: Callable[[Call], Awaitable[None]] | None = None
        self.url = ""
        self._port = port
        self._clock = clock
        self._faults: list[Fault] = []
        self._log = log.open("a", buffering=1) if log else None
        app = web.Application(client_max_size=4 * 2**20)
        app.router.add_route("*", "/api/{method}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)

    async def __aenter__(self) -> Self:
        """Listens on 127.0.0.1; port 0 takes a free one."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/api/"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stops; what still hangs is cut off."""
        await self._runner.cleanup()
        if self._log:
            self._log.close()

    def settings(self, **more: Any) -> Answer:
        """The keys of a channel that talks to this server."""
        return {"token": self.token, "channel": CHANNEL, "api_url": self.url, **more}

    def fail_next(
        self,
        kind: str,
        times: float = 1,
        *,
        method: str | None = None,
        retry_after: float = 1,
        late: bool = False,
    ) -> None:
        """Makes the next calls fail.

        Args:
            kind: An error of Slack's ("is_archived"; "ratelimited" comes with 429), "http 500", "not json",
                "not an object", "hang" or "reset".
            times: How many calls; `math.inf` for all.
            method: Only calls of this method.
            retry_after: Seconds in the header of a 429.
            late: The call has its effect first: the caller cannot know.
        """
        self._faults.append(Fault(kind, times, method, retry_after, late))

    def called(self, method: str) -> list[Call]:
        """The calls of one method."""
        return [call for call in self.calls if call.method == method]

    @property
    def posts(self) -> list[Message]:
        """Top-level messages, oldest first."""
        return [each for each in self.workspace.messages.values() if each.thread_ts is None]

    def thread(self, ts: str) -> list[Message]:
        """The replies to a message, oldest first."""
        return [each for each in self.workspace.messages.values() if each.thread_ts == ts]

    def delete(self, ts: str) -> None:
        """Somebody deletes a message."""
        del self.workspace.messages[ts]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = Call(request.match_info["method"], await _arguments(request), _peer(request))
        self.calls.append(call)
        fault = self._fault(call.method)
        answer = self._act(request, call) if fault is None or fault.late else {}
        call.ts, call.answered = answer.get("ts"), fault.kind if fault else answer.get("error", "ok")
        self._note(call)
        if self.before_answer:
            await self.before_answer(call)
        response = await _failure(fault, request) if fault else web.json_response(answer)
        with contextlib.suppress(ConnectionError):  # whoever asked is gone
            await response.prepare(request)
            await response.write_eof()
            if self.after_answer:
                await self.after_answer(call)
        return response

    def _act(self, request: web.Request, call: Call) -> Answer:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if given != self.token:
            return refused("invalid_auth" if given else "not_authed")
        return self.workspace.act(call.method, call.arguments)

    def _fault(self, method: str) -> Fault | None:
        for fault in self._faults:
            if fault.times > 0 and fault.method in {None, method}:
                fault.times -= 1
                return fault
        return None

    def _note(self, call: Call) -> None:
        if self._log:  # line-buffered: a line is out before its answer
            line = {"at": self._clock(), **vars(call)}
            self._log.write(json.dumps(line) + "\n")


async def _failure(fault: Fault, request: web.Request) -> web.Response:
    if fault.kind == "hang":
        await asyncio.Event().wait()
    if fault.kind == "reset":
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
    if fault.kind.startswith("http "):
        return web.Response(status=int(fault.kind[5:]), text="<h1>oops</h1>", content_type="text/html")
    if fault.kind in {"not json", "not an object"}:
        return web.Response(text="{" if fault.kind == "not json" else "[1]", content_type="application/json")
    if fault.kind == "ratelimited":
        headers = {"Retry-After": f"{fault.retry_after:g}"}
        return web.json_response(refused("ratelimited"), status=429, headers=headers)
    return web.json_response(refused(fault.kind))


def _peer(request: web.Request) -> str:
    host, port = request.transport.get_extra_info("peername")[:2] if request.transport else ("gone", 0)
    return f"{host}:{port}"


async def _arguments(request: web.Request) -> Answer:
    if request.content_type == "application/json":
        return dict(await request.json())
    return {**request.query, **await request.post()}


async def _serve(port: int, log: Path | None, token: str) -> None:
    async with FakeSlack(port=port, log=log, token=token) as slack:
        print(f"fake Slack at {slack.url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--token", default=TOKEN)
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options.port, options.log, options.token))
