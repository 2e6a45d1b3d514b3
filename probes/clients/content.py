"""What an answer says, put together while it comes: the part that every protocol shares."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import orjson

from probes.clients.refusal import error_in
from probes.clients.transport import Connecting
from probes.errors import MalformedReply
from probes.reply import Reply, Timings, Usage

#: A count above this is noise, and would not fit a database column.
_LARGEST_COUNT = 2**31 - 1
_LONGEST_LABEL = 200


class Content(ABC):
    """What has come so far. Each protocol says how to read a piece and when all is there.

    The first token is the first piece of what the user waits for: text, a refusal or a tool call. A model's
    reasoning is not, so reasoning makes the time to first token longer, as its users feel it.

    Attributes:
        finish_reason: Set when the endpoint said why its answer is whole: `stop`, `length`, `tool_calls`,
            `content_filter`, or a word of its own.
        finished: The protocol's own end has come: nothing that follows is worth waiting for.
    """

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.finished = False
        self.served_model: str | None = None
        self.fingerprint: str | None = None
        self.usage = Usage()
        self._first: float | None = None
        self._last = 0.0
        self._pieces = 0

    @property
    def whole(self) -> bool:
        """Whether the body may end here."""
        return self.finish_reason is not None

    def load(self, data: bytes) -> Any:
        """One body, or one event of a stream, as a value.

        Raises:
            MalformedReply: It is not what the protocol promises.
        """
        body = parse(data)
        if not isinstance(body, dict):
            raise MalformedReply("the answer is not a JSON object")
        return body

    def error(self, body: Any) -> tuple[object, str] | None:
        """Code and words, where a loaded value is an error in place of an answer."""
        return error_in(body)

    @abstractmethod
    def add(self, body: Any, now: float | None) -> None:
        """Takes one loaded value that arrived at the monotonic time `now`.

        A whole answer comes with None: it has no time to first token.

        Raises:
            MalformedReply: It is not what the protocol promises.
        """

    @abstractmethod
    def text(self) -> str:
        """The answer's text.

        Raises:
            MalformedReply: No answer came.
        """

    @abstractmethod
    def calls(self) -> tuple[Mapping[str, Any], ...]:
        """The answer's tool calls, in the shape of chat completions."""

    def reply(
        self, started: float, ended: float, seen: Connecting, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """The whole answer to a request that left and was answered at these monotonic times.

        Raises:
            MalformedReply: No answer came.
        """
        return Reply(
            text=self.text(),
            timings=self._timings(started, ended, seen),
            usage=self.usage,
            finish_reason=self.finish_reason,
            tool_calls=self.calls(),
            served_model=self.served_model,
            fingerprint=self.fingerprint,
            headers=headers or {},
        )

    def _felt(self, now: float | None) -> None:
        """A piece came that the user waits for."""
        if now is not None:
            self._first = now if self._first is None else self._first
            self._last = now
            self._pieces += 1

    def _timings(self, started: float, ended: float, seen: Connecting) -> Timings:
        first_token = between_tokens = None
        if self._first is not None:
            first_token = self._first - started
            if self._pieces > 1:
                between_tokens = (self._last - self._first) / (self._pieces - 1)
        return Timings(
            total=ended - started,
            first_token=first_token,
            between_tokens=between_tokens,
            dns=seen.dns,
            connect=seen.connect,
            reused=seen.reused,
        )


def parse(data: bytes) -> Any:
    """The JSON value that these bytes hold.

    Raises:
        MalformedReply: They hold none.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise MalformedReply("the answer is not JSON in UTF-8") from None


def call(id: str | None, name: str, arguments: str) -> dict[str, Any]:
    """One tool call in the shape of chat completions, which scorers read."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def count(value: object) -> int | None:
    """A number of tokens; None where it is no such number."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT:
        return value
    return None


def label(value: object) -> str | None:
    """A short word of the endpoint's, fit for a database and a page; None where there is none."""
    if not isinstance(value, str):
        return None
    return "".join(filter(str.isprintable, value[:_LONGEST_LABEL])) or None


def objects(value: object, name: str) -> list[dict[str, Any]]:
    """The JSON objects of a list; none where it is absent.

    Raises:
        MalformedReply: It is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise MalformedReply(f"`{name}` is not a list of objects")
    return value


def string(value: object) -> str:
    """A piece of text; empty where it is absent.

    Raises:
        MalformedReply: It is something else.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedReply("text was promised, something else came")
    return value
