"""Endpoints that speak OpenAI's chat completions: OpenAI, Azure, vLLM, Ollama, llama.cpp, LiteLLM."""

import asyncio
from functools import cache
from importlib import metadata
from time import monotonic
from typing import Annotated, Any, ClassVar

import aiohttp
import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from yarl import URL

from probes.clients.answer import Answer
from probes.clients.transport import Connecting, broken, new_session, out_of_time
from probes.reply import Reply, Request

_PATH = "chat/completions"
_OWN_KEYS = frozenset({"model", "messages", "stream"})
_KEY_HEADERS = frozenset({"authorization", "api-key", "x-api-key"})


@cache
def _user_agent() -> str:
    try:
        return f"plumbline/{metadata.version('plumbline')}"
    except metadata.PackageNotFoundError:  # run from a source tree that was not installed
        return "plumbline"


class OpenAISettings(BaseModel):
    """The keys of an endpoint of kind `openai`.

    Attributes:
        url: The base that ends before `/chat/completions` (`http://host/v1`), or the whole address.
        model: The model's name as the server knows it.
        api_key: Sent as `Authorization: Bearer`, unless `headers` carry a key already.
        headers: Sent with each request, for example `api-key` for Azure.
        params: Sent with each request (temperature, max_tokens, ...); null takes a key out of the request.
        stream: Without a stream there is no time to first token.
        max_body_bytes: A longer body, counted after decompression, ends the attempt as `too_large`.
        connect_timeout: Seconds for name, TCP and TLS together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str
    model: Annotated[str, Field(min_length=1)]
    api_key: SecretStr | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    params: dict[str, Any] = Field(default_factory=dict)
    stream: bool = True
    max_body_bytes: Annotated[int, Field(gt=0)] = 10 * 1024 * 1024
    connect_timeout: Annotated[float, Field(gt=0)] = 10.0
    user_agent: str = Field(default_factory=_user_agent)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        url = URL(value)
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError("needs http:// or https:// and a host, as in http://127.0.0.1:8000/v1")
        if url.user or url.password:
            raise ValueError("holds credentials; put them into `api_key` or `headers`")
        try:
            (url.raw_host or "").encode("idna")  # the resolver would fail on it in each attempt
        except UnicodeError:
            raise ValueError("holds a host name that no DNS server can know") from None
        return value

    @field_validator("api_key")
    @classmethod
    def _is_one_line(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else _header_value(value)

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name in value:
            if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
                raise ValueError("a header's name has only letters, digits, - and _")
        return {name: _header_value(secret) for name, secret in value.items()}

    @field_validator("params")
    @classmethod
    def _are_not_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := _OWN_KEYS & value.keys():
            raise ValueError(f"{', '.join(sorted(taken))} cannot stand in `params`: it is set beside it")
        return value


def _header_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()  # a key from a file often ends with a line break
    if not text.isprintable():
        raise ValueError("holds a control character; a header's value is one printable line")
    return SecretStr(text)


class OpenAIClient:
    """Asks one endpoint by chat completions, streamed."""

    api: ClassVar[int] = 1
    Settings: ClassVar[type[BaseModel]] = OpenAISettings

    def __init__(self, settings: OpenAISettings, *, session: aiohttp.ClientSession | None = None) -> None:
        """Makes no connection yet; a `session` (from `transport.new_session`) stays its owner's to close."""
        self._settings = settings
        self._session = session
        self._owns_session = session is None
        self._closed = False
        url = URL(settings.url)
        path = url.path.rstrip("/")
        path = path if path.endswith(_PATH) else f"{path}/{_PATH}"
        self._url = url.with_path(path, keep_query=True)
        self._host = f"{url.host}:{url.port}"
        secrets = {name: value.get_secret_value() for name, value in settings.headers.items()}
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        self._secrets = [secret for secret in (key, *secrets.values()) if secret]
        self._headers = {"Content-Type": "application/json", "User-Agent": settings.user_agent, **secrets}
        if key and not _KEY_HEADERS & {name.lower() for name in secrets}:
            self._headers["Authorization"] = f"Bearer {key}"

    async def ask(self, request: Request) -> Reply:
        """Sends the request and reads the whole reply.

        Args:
            request: What to ask, with the deadline of the whole attempt.

        Raises:
            EndpointError: One leaf of the tree for every way to fail.
            asyncio.CancelledError: The caller gave up; the connection is closed.
        """
        if self._closed:
            raise RuntimeError("this client was closed")
        if self._session is None:
            self._session = new_session(self._settings.connect_timeout)
        session, seen = self._session, Connecting()
        started = monotonic()
        answer = Answer(request, secrets=self._secrets, max_body_bytes=self._settings.max_body_bytes)
        try:
            async with asyncio.timeout(request.timeout) as deadline:
                async with session.post(
                    self._url,
                    data=self._body(request),
                    headers=self._headers,
                    allow_redirects=False,
                    trace_request_ctx=seen,
                ) as response:
                    ended = await answer.read(response, deadline, streamed=self._settings.stream)
        except aiohttp.ClientError as error:
            if session.closed:
                raise RuntimeError("this client was closed while it asked") from None
            raise broken(error, seen, self._host) from None
        except TimeoutError:
            raise out_of_time(seen, self._host) from None
        return answer.completion.reply(started, ended, seen)

    async def close(self) -> None:
        """Lets go of connections. Calling it twice does no harm."""
        self._closed = True
        if self._session is not None and self._owns_session:
            await self._session.close()

    def _body(self, request: Request) -> bytes:
        body: dict[str, Any] = {}
        if self._settings.stream:
            body["stream_options"] = {"include_usage": True}
        if request.tools:
            body["tools"] = list(request.tools)
        if request.format is not None:
            body["response_format"] = dict(request.format)
        body |= self._settings.params
        body |= request.params
        body["model"] = self._settings.model
        body["messages"] = [message.as_json() for message in request.messages]
        body["stream"] = self._settings.stream
        return orjson.dumps({key: value for key, value in body.items() if value is not None})
