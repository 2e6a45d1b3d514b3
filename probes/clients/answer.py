"""Reads one HTTP answer to a chat completion: a stream, one JSON body, or a refusal."""

import asyncio
import contextlib
from time import monotonic

import aiohttp
import orjson

from probes.clients.completion import Completion
from probes.clients.refusal import error_in, refusal, safe_words
from probes.clients.sse import EventBuffer
from probes.errors import EndpointError, MalformedReply, ReplyTooLarge, TruncatedReply
from probes.reply import Request

_DONE = b"[DONE]"
_ERROR_BODY = 65_536
_ERROR_WAIT = 2.0  # seconds: the status is the finding, its words are a courtesy
_CLOSING_WAIT = (
    0.5  # seconds for the end of a body whose content is whole, so that the connection can be kept
)


class Answer:
    """The answer to one request, while it comes.

    Attributes:
        completion: What has come so far.
    """

    def __init__(self, request: Request, *, secrets: list[str], max_body_bytes: int) -> None:
        self.completion = Completion()
        self._request = request
        self._secrets = secrets
        self._left = max_body_bytes
        self._cap = max_body_bytes

    async def read(
        self, response: aiohttp.ClientResponse, deadline: asyncio.Timeout, *, streamed: bool
    ) -> float:
        """Reads all of it; gives the monotonic time at which it was whole.

        Args:
            response: An answer whose headers are there.
            deadline: The attempt's; it is lifted once the content is whole.
            streamed: Whether a stream was asked for.

        Raises:
            EndpointError: A refusal, or content that is not what the protocol promises.
            aiohttp.ClientError: The connection broke.
        """
        if response.status != 200:
            raise await self._refusal(response)
        if _is_stream(response.content_type, streamed):
            return await self._read_stream(response, deadline)
        body = bytearray()
        async for chunk in response.content.iter_any():
            self._spend(chunk)
            body += chunk
        ended = monotonic()
        self._add(bytes(body), None)
        return ended

    async def _read_stream(self, response: aiohttp.ClientResponse, deadline: asyncio.Timeout) -> float:
        buffer = EventBuffer()
        async for chunk in response.content.iter_any():
            now = monotonic()
            self._spend(chunk)
            for data in buffer.feed(chunk):
                if data == _DONE:
                    deadline.reschedule(None)
                    await _finish(response)
                    return now
                self._add(data, now)
        if buffer.end() != [_DONE] and self.completion.finish_reason is None:
            raise TruncatedReply("the stream ended before the answer was whole")
        return monotonic()

    def _spend(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            raise ReplyTooLarge(f"the body passed {self._cap} bytes")

    def _add(self, data: bytes, now: float | None) -> None:
        try:
            body = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise MalformedReply("the answer is not JSON in UTF-8") from None
        if not isinstance(body, dict):
            raise MalformedReply("the answer is not a JSON object")
        if found := error_in(body):
            code, words = found
            raise refusal(200, self._safe(words), code=code)
        self.completion.add(body, now)

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
        return refusal(response.status, self._safe(words), headers=response.headers, code=code)

    def _safe(self, words: str) -> str:
        prompts = [str(message.content) for message in self._request.messages if message.content]
        return safe_words(words, secrets=self._secrets, prompts=prompts)


def _is_stream(content_type: str, streamed: bool) -> bool:
    """Whether it is a stream: a server may ignore that one was asked for, or not name its type."""
    if content_type == "text/event-stream":
        return True
    if content_type.endswith("json"):
        return False
    if content_type in ("application/octet-stream", "text/plain"):
        return streamed
    raise MalformedReply("the answer is neither JSON nor an event stream; check that `url` is the API's")


async def _finish(response: aiohttp.ClientResponse) -> None:
    """Waits for the end of the body, so that the connection can be kept; where none comes it is closed."""
    if response.content.at_eof():
        return
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_CLOSING_WAIT):
            await response.content.readany()
