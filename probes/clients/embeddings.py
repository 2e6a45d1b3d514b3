"""Endpoints that turn text into a vector by OpenAI's embeddings protocol: OpenAI, vLLM, Ollama, TEI, LiteLLM."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import aiohttp
import orjson
from pydantic import BaseModel

from probes.clients.content import Content, count, label
from probes.clients.endpoint import ApiSettings, EndpointClient
from probes.errors import MalformedReply
from probes.reply import Request, Usage
from probes.vector import numbers


class EmbeddingsSettings(ApiSettings):
    """The keys of an endpoint of kind `openai-embeddings`; the key is sent as `Authorization: Bearer`.

    Attributes:
        stream: The protocol has no streams.
    """

    own_keys: ClassVar[frozenset[str]] = frozenset({"model", "input", "stream"})

    stream: Literal[False] = False


class EmbeddingsClient(EndpointClient):
    """Asks for the vector of a request's last user message; the reply's text is that vector as JSON."""

    Settings: ClassVar[type[BaseModel]] = EmbeddingsSettings

    def __init__(self, settings: EmbeddingsSettings, *, session: aiohttp.ClientSession | None = None) -> None:
        """Makes no connection yet; a `session` (from `transport.new_session`) stays its owner's to close."""
        super().__init__(
            settings,
            url=settings.address("embeddings"),
            headers=settings.key_header("Authorization", "Bearer "),
            stream="none",
            session=session,
        )
        self._settings = settings

    def _content(self) -> Content:
        return Embedding()

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {"encoding_format": "float"}
        body |= self._settings.params
        body |= request.params
        body["model"] = self._settings.model
        body["input"] = _last_words(request)
        return {key: value for key, value in body.items() if value is not None}


class Embedding(Content):
    """One vector."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: list[float] = []

    def add(self, body: Mapping[str, Any], now: float | None) -> None:
        """Takes the whole answer."""
        data = body.get("data")
        if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], dict):
            raise MalformedReply("`data` is not a list of one embedding")
        self._numbers = _vector(data[0].get("embedding"))
        self.usage = _usage(body.get("usage"))
        self.served_model = label(body.get("model"))

    def text(self) -> str:
        """The vector as a JSON array, each number as short as it can be written."""
        if not self._numbers:
            raise MalformedReply("no embedding came")
        return orjson.dumps(self._numbers).decode()

    def calls(self) -> tuple[Mapping[str, Any], ...]:
        """There are none."""
        return ()


def _vector(value: object) -> list[float]:
    try:
        return numbers(value)
    except ValueError as error:
        hint = ", as if encoding_format were base64" if isinstance(value, str) else ""
        raise MalformedReply(f"{error}{hint}") from None


def _usage(usage: object) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    read = count(usage.get("prompt_tokens"))
    if read is None:  # Voyage counts only the total, which here is the same
        read = count(usage.get("total_tokens"))
    # Nothing is ever written: with an unknown output the cost of known input would be unknown too.
    return Usage(input_tokens=read, output_tokens=None if read is None else 0)


def _last_words(request: Request) -> str:
    """The text of the last user message; of content parts those that are text."""
    said = [message.content for message in request.messages if message.role == "user"]
    last = said[-1] if said else None
    if last is None or isinstance(last, str):
        return last or ""
    return "".join(str(part["text"]) for part in last if "text" in part)
