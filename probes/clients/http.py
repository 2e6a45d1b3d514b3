"""Any endpoint that takes JSON and answers with JSON or text: the app that was shipped, not only its model."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from yarl import URL

from probes.clients.answer import Stream
from probes.clients.content import Content, count, label, parse
from probes.clients.endpoint import EndpointClient, EndpointSettings
from probes.clients.path import Path, as_text
from probes.clients.refusal import error_in
from probes.clients.template import Template
from probes.errors import MalformedReply
from probes.reply import Request, Usage


class ReplyPaths(BaseModel):
    """Where in the answer things stand (in a stream: in each of its pieces).

    Attributes:
        text: The text. Without it the body, or each event's data, is the text.
        tool_calls: A list of calls in the shape of chat completions.
        input_tokens: Tokens that were read; the last number of a stream counts, as for all counts.
        output_tokens: Tokens that were written.
        cached_tokens: The part of the input that came from a cache.
        reasoning_tokens: The part of the output that was reasoning.
        model: The served model's name.
        fingerprint: What names the exact build that answered.
        error: An error in an answer with status 200: text, or an object with `code` and `message`.
        done: What is true in the last piece of a stream; a stream that ends without it is `truncated`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    text: str | None = None
    tool_calls: str | None = None
    input_tokens: str | None = None
    output_tokens: str | None = None
    cached_tokens: str | None = None
    reasoning_tokens: str | None = None
    model: str | None = None
    fingerprint: str | None = None
    error: str | None = None
    done: str | None = None

    @field_validator("*")
    @classmethod
    def _is_a_path(cls, value: str | None) -> str | None:
        if value is not None:
            Path(value)
        return value

    @model_validator(mode="after")
    def _starts_with_the_text(self) -> "ReplyPaths":
        if self.text is None and any(value is not None for _, value in self):
            raise ValueError("has other paths, but none to the text; add text: choices[0].message.content")
        return self


class HttpSettings(EndpointSettings):
    """The keys of an endpoint of kind `http`; the key is sent as `Authorization: Bearer`.

    Attributes:
        method: POST, PUT or PATCH.
        body: What is sent, as JSON, with placeholders such as `{{prompt}}`.
        params: What `{{params.NAME}}` stands for; a case's own win.
        model: What `{{model}}` stands for, and the name that is shown.
        reply: Where in the answer things stand.
        stream: How the answer is cut into pieces: none, sse (server-sent events) or ndjson (JSON lines).
    """

    method: Literal["POST", "PUT", "PATCH"] = "POST"
    body: Any
    params: dict[str, Any] = Field(default_factory=dict)
    model: str = ""
    reply: ReplyPaths = ReplyPaths()
    stream: Stream = "none"

    @field_validator("body")
    @classmethod
    def _is_a_template(cls, value: Any) -> Any:
        Template(value)
        return value

    @model_validator(mode="after")
    def _lines_hold_the_text(self) -> "HttpSettings":
        if self.stream == "ndjson" and self.reply.text is None:
            raise ValueError(
                "has no path to the text in each line; add reply: {text: ...}, for stream is ndjson"
            )
        return self


class HttpClient(EndpointClient):
    """Asks one endpoint by a body that the config describes."""

    Settings: ClassVar[type[BaseModel]] = HttpSettings

    def __init__(self, settings: HttpSettings, *, session: aiohttp.ClientSession | None = None) -> None:
        """Makes no connection yet; a `session` (from `transport.new_session`) stays its owner's to close."""
        super().__init__(
            settings,
            url=URL(settings.url),
            headers=settings.key_header("Authorization", "Bearer "),
            stream=settings.stream,
            method=settings.method,
            session=session,
        )
        self._settings = settings
        self._template = Template(settings.body)
        self._paths = {name: Path(written) for name, written in settings.reply if written is not None}

    def _content(self) -> Content:
        return Found(self._paths) if self._paths else Plain()

    def _body(self, request: Request) -> Any:
        return self._template.fill(request, model=self._settings.model, params=self._settings.params)


class Plain(Content):
    """An answer that is text."""

    def __init__(self) -> None:
        super().__init__()
        self._text: list[str] = []

    @property
    def whole(self) -> bool:
        """A text may end anywhere, but not before it began."""
        return bool(self._text)

    def load(self, data: bytes) -> str:
        """The text of the body, or of one event."""
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise MalformedReply("the answer is not text in UTF-8") from None

    def error(self, body: Any) -> tuple[object, str] | None:
        """Text holds no error that could be told from an answer."""
        return None

    def add(self, body: str, now: float | None) -> None:
        """Takes the text of the body, or of one event."""
        self._text.append(body)
        if body:
            self._felt(now)

    def text(self) -> str:
        """All of it."""
        return "".join(self._text)

    def calls(self) -> tuple[Mapping[str, Any], ...]:
        """There are none."""
        return ()


class Found(Content):
    """An answer in JSON of any shape, read by paths."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        super().__init__()
        self._paths = paths
        self._text: list[str] = []
        self._calls: list[Mapping[str, Any]] = []
        self._counts: dict[str, int] = {}

    @property
    def whole(self) -> bool:
        """Where no path says what the end looks like, a text may end anywhere once it began."""
        return self.finished or ("done" not in self._paths and bool(self._text or self._calls))

    def load(self, data: bytes) -> Any:
        """Any JSON value."""
        return parse(data)

    def error(self, body: Any) -> tuple[object, str] | None:
        """What stands at the path `error`."""
        found = self._at("error", body)
        return error_in({"error": found}) if found else None

    def add(self, body: Any, now: float | None) -> None:
        """Takes the body, or one piece of a stream; a piece may hold no text."""
        text, calls = self._at("text", body), self._at("tool_calls", body)
        calls = [each for each in calls if isinstance(each, dict)] if isinstance(calls, list) else []
        if text is not None:
            self._text.append(as_text(text))
        self._calls += calls
        if text or calls:
            self._felt(now)
        for name in Usage.__slots__:
            if (number := count(self._at(name, body))) is not None:
                self._counts[name] = number
        self.usage = Usage(**self._counts)
        self.served_model = label(self._at("model", body)) or self.served_model
        self.fingerprint = label(self._at("fingerprint", body)) or self.fingerprint
        self.finished = self.finished or bool(self._at("done", body))

    def text(self) -> str:
        """All pieces, joined."""
        if not self._text and not self._calls:
            raise MalformedReply("there is no text at the path `reply.text`")
        return "".join(self._text)

    def calls(self) -> tuple[Mapping[str, Any], ...]:
        """The calls that stood at their path."""
        return tuple(self._calls)

    def _at(self, name: str, body: Any) -> Any:
        path = self._paths.get(name)
        return path.find(body) if path else None
