"""A chat completion, put together from its chunks (or from one whole answer: the shapes are alike)."""

from collections.abc import Mapping
from typing import Any

from probes.clients.content import Content, call, count, label
from probes.errors import MalformedReply
from probes.reply import Usage


class Completion(Content):
    """What has come so far."""

    def __init__(self) -> None:
        super().__init__()
        self._chosen = False
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._call_at: dict[int, dict[str, Any]] = {}

    def add(self, chunk: Mapping[str, Any], now: float | None) -> None:
        """Takes one chunk, or a whole completion."""
        choices = chunk.get("choices") or []  # chunks with usage, or with filter results, have none
        if not isinstance(choices, list):
            raise MalformedReply("`choices` is not a list")
        for choice in choices:
            if not isinstance(choice, dict):
                raise MalformedReply("a choice is not an object")
            if choice.get("index", 0) == 0:
                self._choose(choice, now)
        if usage := chunk.get("usage"):
            self.usage = _usage(usage)
        self.served_model = self.served_model or label(chunk.get("model"))
        self.fingerprint = self.fingerprint or label(chunk.get("system_fingerprint"))

    def text(self) -> str:
        """The text; a refusal where there is no other."""
        if not self._chosen:
            raise MalformedReply("the answer has no choices")
        return "".join(self._text) or "".join(self._refusal)

    def calls(self) -> tuple[Mapping[str, Any], ...]:
        """The tool calls, as the endpoint numbered them."""
        return tuple(self._calls)

    def _choose(self, choice: Mapping[str, Any], now: float | None) -> None:
        self._chosen = True
        if reason := choice.get("finish_reason"):
            self.finish_reason = label(reason)
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
        for position, each in enumerate(calls):
            self._merge_call(each, position)
        self._felt(now)

    def _merge_call(self, part: object, position: int) -> None:
        function = part.get("function") or {} if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(function, dict):
            raise MalformedReply("a tool call is not an object")
        index = part.get("index")
        index = index if isinstance(index, int) else position
        known = self._call_at.get(index)
        name = part.get("id")
        # Some servers give every call the index 0: another id then means another call.
        if known is None or (name and known["id"] and name != known["id"]):
            known = call(None, "", "")
            self._call_at[index] = known
            self._calls.append(known)
        known["id"] = known["id"] or name
        known["function"]["name"] = known["function"]["name"] or _text(function.get("name"))
        known["function"]["arguments"] += _text(function.get("arguments"))


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
    read, written = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    reasoning = count(out.get("reasoning_tokens")) if isinstance(out, dict) else None
    if reasoning and read is not None and written is not None:
        # Some servers (Grok) count reasoning beside the output; their total tells.
        beside = usage.get("total_tokens") == read + written + reasoning
        written = count(written + reasoning) if beside else written
    return Usage(
        input_tokens=read,
        output_tokens=written,
        cached_tokens=count(into.get("cached_tokens")) if isinstance(into, dict) else None,
        reasoning_tokens=reasoning,
    )
