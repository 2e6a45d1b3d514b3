"""Reads one HTTP answer: a stream, one body, or a refusal."""

import asyncio
import contextlib
from time import monotonic
from typing import Literal

import aiohttp
import orjson

from probes.clients.content import Content
from probes.clients.refusal import error_in, refusal, safe_words
from probes.clients.sse import EventBuffer, LineBuffer
from probes.errors import EndpointError, MalformedReply, ReplyTooLarge, TruncatedReply
from probes.reply import Request

#: How an answer is cut into pieces: not at all, into server-sent events, or into lines.
Stream = Literal["none", "sse", "ndjson"]

_DONE = b"[DONE]"
_ERROR_BODY = 65_536
_ERROR_WAIT = 2.0  # seconds: the status is the finding, its words are a courtesy
_CLOSING_WAIT = (
    0.5  # seconds for the end of a body whose content is whole, so that the connection can be kept
)


class Answer:
    """The answer to one request, while it comes. What it says is gathered in `content`."""

    def __init__(
        self, content: Content, request: Request, *, secrets: list[str], max_body_bytes: int
    ) -> None:
        self._content = content
        self._request = request
        self._secrets = secrets
        self._left = max_body_bytes
        self._cap = max_body_bytes

    async def read(
        self, response: aiohttp.ClientResponse, deadline: asyncio.Timeout, *, asked: Stream
    ) -> float:
        """Reads all of it; gives the monotonic time at which it was whole.

        Args:
            response: An answer whose headers are there.
            deadline: The attempt's; it is lifted once the content is whole.
            asked: What kind of stream was asked for.

        Raises:
            EndpointError: A refusal, or content that is not what the protocol promises.
            aiohttp.ClientError: The connection broke.
        """
        if not 200 <= response.status < 300:
            raise await self._refusal(response)
        stream = _stream_of(response.content_type, asked)
        if stream != "none":
            return await self._read_stream(response, deadline, stream)
        body = bytearray()
        async for chunk in response.content.iter_any():
            self._spend(chunk)
            body += chunk
        ended = monotonic()
        self._add(bytes(body), None)
        return ended

    async def _read_stream(
        self, response: aiohttp.ClientResponse, deadline: asyncio.Timeout, stream: Stream
    ) -> float:
        buffer = LineBuffer() if stream == "ndjson" else EventBuffer()
        async for chunk in response.content.iter_any():
            now = monotonic()
            self._spend(chunk)
            for data in buffer.feed(chunk):
                if data != _DONE:
                    self._add(data, now)
                if data == _DONE or self._content.finished:
                    deadline.reschedule(None)
                    await _finish(response)
                    return now
        ended = monotonic()
        self._end(buffer.end(), ended)
        return ended

    def _end(self, rest: list[bytes], now: float) -> None:
        """The body ended without the stream's own end: `rest` may be a last piece, or half of one."""
        if rest == [_DONE]:
            return
        cut = False
        try:
            for data in rest:
                self._add(data, now)
        except MalformedReply:
            cut = True
        if not self._content.whole or (cut and self._content.finish_reason is None):
            raise TruncatedReply("the stream ended before the answer was whole")

    def _spend(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            raise ReplyTooLarge(f"the body passed {self._cap} bytes")

    def _add(self, data: bytes, now: float | None) -> None:
        body = self._content.load(data)
        if found := self._content.error(body):
            code, words = found
            raise refusal(200, self.safe(words), code=code)
        self._content.add(body, now)

    async def _refusal(self, response: aiohttp.ClientResponse) -> EndpointError:
        text = bytearray()
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(_ERROR_WAIT):
                async for chunk in response.content.iter_any():
                    text += chunk
                    if len(text) > _ERROR_BODY:
                        break
        code, words = None, ""
        with contextlib.suppress(orjson.JSONDecodeError):
            code, words = error_in(orjson.loads(text)) or (None, "")
        return refusal(response.status, self.safe(words), headers=response.headers, code=code)

    def safe(self, words: str) -> str:
        """Words of the endpoint that may be shown: short, and without our keys and prompts."""
        prompts = [str(message.content) for message in self._request.messages if message.content]
        return safe_words(words, secrets=self._secrets, prompts=prompts)


def _stream_of(content_type: str, asked: Stream) -> Stream:
    """How the answer comes: a server may ignore that a stream was asked for, or not name its type."""
    if content_type == "text/event-stream":
        return "sse"
    if content_type.endswith(("ndjson", "jsonl")):
        return "ndjson"
    if content_type.endswith("json"):
        return "ndjson" if asked == "ndjson" else "none"
    if content_type == "application/octet-stream" or (
        content_type.startswith("text/") and content_type != "text/html"
    ):
        return asked
    raise MalformedReply("the answer is no text, JSON or event stream; check that `url` is the API's")


async def _finish(response: aiohttp.ClientResponse) -> None:
    """Waits for the end of the body, so that the connection can be kept; where none comes it is closed."""
    if response.content.at_eof():
        return
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_CLOSING_WAIT):
            await response.content.readany()
