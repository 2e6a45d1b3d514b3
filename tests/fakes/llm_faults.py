"""The faults of the fake LLM endpoint that are more than a status: each breaks one promise of the protocol.

A number ("429", "500", "302") is a fault too: an answer with this status.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from tests.fakes.wires import wire_of

if TYPE_CHECKING:
    from tests.fakes.llm import Asked, FakeLLM

Fault = Callable[["FakeLLM", web.Request, "Asked"], Awaitable[web.StreamResponse]]

BIG_BODY = 50 * 2**20
_STREAM = {"Content-Type": "text/event-stream"}


async def _begin(fake: FakeLLM, request: web.Request, asked: Asked, words: int = 2) -> web.StreamResponse:
    """The beginning of a good answer."""
    response = web.StreamResponse(headers=_STREAM)
    await response.prepare(request)
    for word in range(words):
        await response.write(wire_of(asked).event(fake, asked, {"content": f"word{word} "}))
    return response


async def _send(fake: FakeLLM, request: web.Request, asked: Asked, body: bytes) -> web.StreamResponse:
    """A whole answer with this body, as a stream or as JSON: as it was asked for."""
    response = web.StreamResponse(
        headers=_STREAM if asked.body.get("stream") else {"Content-Type": "application/json"}
    )
    await response.prepare(request)
    await response.write(b"data: " + body + b"\n\ndata: [DONE]\n\n" if asked.body.get("stream") else body)
    await response.write_eof()
    await fake.done(asked, 200)
    return response


async def hang(fake: FakeLLM, request: web.Request, asked: Asked) -> web.StreamResponse:
    """Never answers; ends when the client goes away."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets this event")


async def slow_drip(fake: FakeLLM, request: web.Request, asked: Asked) -> web.StreamResponse:
    """Streams words, one each 10 ms, without an end."""
    response = await _begin(fake, request, asked)
    while True:
        await response.write(wire_of(asked).event(fake, asked, {"content": "drip "}))
        await asyncio.sleep(0.01)


async def cut_stream(fake: FakeLLM, request: web.Request, asked: Asked) -> web.StreamResponse:
    """Ends the body properly, in the middle of the answer: no finish_reason, no [DONE]."""
    response = await _begin(fake, request, asked)
    await response.write_eof()
    await fake.done(asked, 200)
    return response


async def reset(fake: FakeLLM, request: web.Request, asked: Asked) -> web.StreamResponse:
    """Breaks the connection with a TCP reset in the middle of the answer."""
    response = await _begin(fake, request, asked)
    assert request.transport is not None
    connection: socket.socket = request.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
    return response


async def disconnect(fake: FakeLLM, request: web.Request, asked: Asked) -> web.StreamResponse:
    """Closes the connection instead of an answer."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def invalid_utf8(fake: FakeLLM, request: web.Request, asked: Asked) -> web.StreamResponse:
    """Content that is not UTF-8."""
    body = b'{"choices": [{"index": 0, "delta": {"content": "\xff\xfe"}, "finish_reason": "stop"}]}'
    return await _send(fake, request, asked, body)


async def wrong_json(fake: FakeLLM, request: web.Request, asked: Asked) -> web.StreamResponse:
    """Content that is not JSON."""
    return await _send(fake, request, asked, b'{"choices": [{"index": 0, "delta": ')


async def no_choices(fake: FakeLLM, request: web.Request, asked: Asked) -> web.StreamResponse:
    """JSON that is no completion."""
    return await _send(fake, request, asked, b'{"hello": "world"}')


async def error_inside(fake: FakeLLM, request: web.Request, asked: Asked) -> web.StreamResponse:
    """An error object inside an answer that began well (as vLLM and OpenRouter do)."""
    return await _send(fake, request, asked, b'{"error": {"message": "the engine died", "code": 500}}')


async def html(fake: FakeLLM, request: web.Request, asked: Asked) -> web.StreamResponse:
    """A web page (of a proxy, a login) with status 200."""
    return web.Response(text="<html>Welcome</html>", content_type="text/html")


async def big_body(fake: FakeLLM, request: web.Request, asked: Asked) -> web.StreamResponse:
    """50 MB of words."""
    response = await _begin(fake, request, asked)
    piece = wire_of(asked).event(fake, asked, {"content": "x" * 65_536})
    for _ in range(BIG_BODY // len(piece) + 1):
        await response.write(piece)
    await response.write_eof()
    await fake.done(asked, 200)
    return response


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        hang,
        slow_drip,
        cut_stream,
        reset,
        disconnect,
        invalid_utf8,
        wrong_json,
        no_choices,
        error_inside,
        html,
        big_body,
    )
}
