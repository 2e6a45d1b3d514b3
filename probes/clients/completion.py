"""A chat completion, put together from its chunks (or from one whole answer: the shapes are alike)."""

from collections.abc import Mapping
from typing import Any

from probes.clients.transport import Connecting
from probes.errors import MalformedReply
from probes.reply import Reply, Timings, Usage

#: A count above this is noise, and would not fit a database column.
_LARGEST_COUNT = 2**31 - 1
_LONGEST_LABEL = 200


class Completion:
    """What has come so far.

    The first token is the first piece of what the user waits for: text, a refusal or a tool call. A model's
    reasoning is not, so reasoning makes the time to first token longer, as its users feel it.

    Attributes:
        finish_reason: Set by the endpoint when the answer is whole.
    """

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self._first: float | None = None
        self._last = 0.0
        self._pieces = 0
        self._chosen = False
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._call_at: dict[int, dict[str, Any]] = {}
        self._usage = Usage()
        self._served_model: str | None = None
        self._fingerprint: str | None = None

    def add(self, chunk: Mapping[str, Any], now: float | None) -> None:
        """Takes one chunk that arrived at the monotonic time `now`.

        A whole answer comes with None: it has no time to first token.

        Raises:
            MalformedReply: It is not what the protocol promises.
        """
        choices = chunk.get("choices") or []  # chunks with usage, or with filter results, have none
        if not isinstance(choices, list):
            raise MalformedReply("`choices` is not a list")
        for choice in choices:
            if not isinstance(choice, dict):
                raise MalformedReply("a choice is not an object")
            if choice.get("index", 0) == 0:
                self._choose(choice, now)
        if usage := chunk.get("usage"):
            self._usage = _usage(usage)
        self._served_model = self._served_model or _label(chunk.get("model"))
        self._fingerprint = self._fingerprint or _label(chunk.get("system_fingerprint"))

    def reply(self, started: float, ended: float, seen: Connecting) -> Reply:
        """The whole answer to a request that left and was answered at these monotonic times.

        Raises:
            MalformedReply: No chunk had a choice.
        """
        if not self._chosen:
            raise MalformedReply("the answer has no choices")
        return Reply(
            text="".join(self._text) or "".join(self._refusal),
            timings=self._timings(started, ended, seen),
            usage=self._usage,
            finish_reason=self.finish_reason,
            tool_calls=tuple(self._calls),
            served_model=self._served_model,
            fingerprint=self._fingerprint,
        )

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

    def _choose(self, choice: Mapping[str, Any], now: float | None) -> None:
        self._chosen = True
        if reason := choice.get("finish_reason"):
            self.finish_reason = _label(reason)
        part = choice.get("delta") or choice.get("message") or {}
        if not isinstance(part, dict):
            raise MalformedReply("a message is not an object")
        text, refusal = _text(part.get("content")), _text(part.get("refusal"))
        calls = part.get("tool_calls") or []
        if not isinstance(calls, list):
            raise MalformedReply("`tool_calls` is not a list")
        if not (text or refusal or calls):
            return
        self._text.append(text)
        self._refusal.append(refusal)
        for position, call in enumerate(calls):
            self._merge_call(call, position)
        if now is not None:
            self._first = now if self._first is None else self._first
            self._last = now
            self._pieces += 1

    def _merge_call(self, part: object, position: int) -> None:
        function = part.get("function") or {} if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(function, dict):
            raise MalformedReply("a tool call is not an object")
        index = part.get("index")
        index = index if isinstance(index, int) else position
        call = self._call_at.get(index)
        name = part.get("id")
        # Some servers give every call the index 0: another id then means another call.
        if call is None or (name and call["id"] and name != call["id"]):
            call = {"id": None, "type": "function", "function": {"name": "", "arguments": ""}}
            self._call_at[index] = call
            self._calls.append(call)
        call["id"] = call["id"] or name
        call["function"]["name"] = call["function"]["name"] or _text(function.get("name"))
        call["function"]["arguments"] += _text(function.get("arguments"))


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list):  # content parts; those that are not text (reasoning, images) are left out
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    raise MalformedReply("text was promised, something else came")


def _usage(usage: object) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    into, out = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    return Usage(
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(into.get("cached_tokens")) if isinstance(into, dict) else None,
        reasoning_tokens=_count(out.get("reasoning_tokens")) if isinstance(out, dict) else None,
    )


def _count(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT:
        return value
    return None


def _label(value: object) -> str | None:
    """A short word of the endpoint's, fit for a database and a page; None where there is none."""
    if not isinstance(value, str):
        return None
    return "".join(filter(str.isprintable, value[:_LONGEST_LABEL])) or None
