"""One endpoint over HTTP: what its config says and how it is asked, whatever protocol it speaks."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from time import monotonic
from typing import Annotated, Any, ClassVar

import aiohttp
import orjson
from multidict import CIMultiDict
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from yarl import URL

from probes.clients.answer import Answer, Stream
from probes.clients.content import Content, label
from probes.clients.transport import Connecting, broken, new_session, out_of_time
from probes.reply import Reply, Request

_KEY_HEADERS = frozenset({"authorization", "api-key", "x-api-key"})


@cache
def _user_agent() -> str:
    try:
        return f"plumbline/{metadata.version('plumbline')}"
    except metadata.PackageNotFoundError:  # run from a source tree that was not installed
        return "plumbline"


class EndpointSettings(BaseModel):
    """The keys that every endpoint over HTTP has.

    Attributes:
        url: Where requests go.
        api_key: The key; it is not sent where `headers` carry one already.
        headers: Sent with each request, for example a key under a name of its own.
        identity_headers: Names of the answer's headers that are kept with each reply.
        max_body_bytes: A longer body, counted after decompression, ends the attempt as `too_large`.
        connect_timeout: Seconds for name, TCP and TLS together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str
    api_key: SecretStr | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    identity_headers: tuple[str, ...] = ()
    max_body_bytes: Annotated[int, Field(gt=0)] = 10 * 1024 * 1024
    connect_timeout: Annotated[float, Field(gt=0)] = 10.0
    user_agent: str = Field(default_factory=_user_agent)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        try:
            url = URL(value)
        except ValueError:
            raise ValueError("is no web address; write one like http://127.0.0.1:8000/v1") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(
                "is no web address; write http:// or https:// and a host: http://127.0.0.1:8000/v1"
            )
        if not value.isprintable() or " " in value:
            raise ValueError("holds a space or a control character; write %20 for a space")
        if url.user or url.password:
            raise ValueError("holds credentials; put them into `api_key` or `headers`")
        try:
            (url.raw_host or "").encode("idna")  # the resolver would fail on it in each attempt
        except UnicodeError:
            raise ValueError("holds a host name that no DNS server can know; correct it") from None
        return value

    @field_validator("api_key")
    @classmethod
    def _is_one_line(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else _header_value(value)

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        return {_header_name(name): _header_value(secret) for name, secret in value.items()}

    @field_validator("identity_headers")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(name.lower() == "set-cookie" for name in value):
            raise ValueError("set-cookie holds a secret, so it is never kept; take it out")
        return tuple(_header_name(name).lower() for name in value)

    def key_header(self, name: str, prefix: str = "") -> dict[str, str]:
        """The header that carries the key; none where there is no key, or where `headers` hold one."""
        key = self.api_key.get_secret_value() if self.api_key else ""
        held = _KEY_HEADERS & {header.lower() for header in self.headers}
        return {} if held or not key else {name: f"{prefix}{key}"}


class ApiSettings(EndpointSettings):
    """The keys of an endpoint whose protocol knows models and keys.

    Attributes:
        url: The base that ends before the protocol's own path, or the whole address.
        model: The model's name as the server knows it.
        params: Sent with each request (temperature, ...); null takes a key out of the request.
        stream: Without a stream there is no time to first token.
    """

    own_keys: ClassVar[frozenset[str]] = frozenset()

    model: Annotated[str, Field(min_length=1)]
    params: dict[str, Any] = Field(default_factory=dict)
    stream: bool = True

    @field_validator("params")
    @classmethod
    def _are_not_ours(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := cls.own_keys & value.keys():
            raise ValueError(f"{', '.join(sorted(taken))} cannot stand in `params`; it is set beside it")
        return value

    def address(self, path: str) -> URL:
        """The address of a protocol's path; a `url` that ends in it already is taken as it is."""
        url = URL(self.url)
        base = url.path.rstrip("/")
        return url.with_path(base if base.endswith(f"/{path}") else f"{base}/{path}", keep_query=True)


def _header_name(name: str) -> str:
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise ValueError("is no name of a header; use letters, digits, - and _")
    return name


def _header_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()  # a key from a file often ends with a line break
    if not text.isprintable():
        raise ValueError("holds a control character; a header's value is one printable line")
    return SecretStr(text)


class EndpointClient(ABC):
    """Asks one endpoint over HTTP; a protocol says what is sent and how the answer is read."""

    api: ClassVar[int] = 1

    def __init__(
        self,
        settings: EndpointSettings,
        *,
        url: URL,
        headers: Mapping[str, str],
        stream: Stream,
        method: str = "POST",
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        """Makes no connection yet; a `session` (from `transport.new_session`) stays its owner's to close."""
        self._limits = settings
        self._url, self._method, self._stream = url, method, stream
        self._session = session
        self._owns_session = session is None
        self._closed = False
        self._host = f"{url.host}:{url.port}"
        chosen = {name: value.get_secret_value() for name, value in settings.headers.items()}
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        self._secrets = [secret for secret in (key, *chosen.values()) if secret]
        self._headers = CIMultiDict({"Content-Type": "application/json", "User-Agent": settings.user_agent})
        self._headers.update(headers)
        self._headers.update(chosen)

    @abstractmethod
    def _body(self, request: Request) -> Mapping[str, Any] | list[Any] | str:
        """The request's body, as JSON."""

    @abstractmethod
    def _content(self) -> Content:
        """What reads one answer."""

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
            self._session = new_session(self._limits.connect_timeout)
        session, seen, content = self._session, Connecting(), self._content()
        started = monotonic()
        answer = Answer(content, request, secrets=self._secrets, max_body_bytes=self._limits.max_body_bytes)
        try:
            async with asyncio.timeout(request.timeout) as deadline:
                async with session.request(
                    self._method,
                    self._url,
                    data=orjson.dumps(self._body(request)),
                    headers=self._headers,
                    allow_redirects=False,
                    trace_request_ctx=seen,
                ) as response:
                    ended = await answer.read(response, deadline, asked=self._stream)
        except aiohttp.ClientError as error:
            if session.closed:
                raise RuntimeError("this client was closed while it asked") from None
            raise broken(error, seen, self._host) from None
        except TimeoutError:
            raise out_of_time(seen, self._host) from None
        return content.reply(started, ended, seen, self._identity(response, answer))

    async def close(self) -> None:
        """Lets go of connections. Calling it twice does no harm."""
        self._closed = True
        if self._session is not None and self._owns_session:
            await self._session.close()

    def _identity(self, response: aiohttp.ClientResponse, answer: Answer) -> dict[str, str]:
        said = {name: response.headers.get(name) for name in self._limits.identity_headers}
        shown = {name: label(answer.safe(value)) for name, value in said.items() if value is not None}
        return {name: value for name, value in shown.items() if value is not None}
