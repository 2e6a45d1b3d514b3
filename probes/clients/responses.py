"""Endpoints that speak OpenAI's Responses API."""

from collections.abc import Mapping
from typing import Any, ClassVar

import aiohttp
from pydantic import BaseModel

from probes.case import JsonObject, Message
from probes.clients.content import Content, call, count, label, objects, string
from probes.clients.endpoint import ApiSettings, EndpointClient
from probes.clients.refusal import error_in
from probes.errors import MalformedReply
from probes.reply import Request, Usage

_PATH = "responses"
_FINISH = {"max_output_tokens": "length"}


class ResponsesSettings(ApiSettings):
    """The keys of an endpoint of kind `openai-responses`; the key is sent as `Authorization: Bearer`."""

    own_keys: ClassVar[frozenset[str]] = frozenset({"model", "input", "stream", "background"})


class ResponsesClient(EndpointClient):
    """Asks one endpoint by responses, streamed."""

    Settings: ClassVar[type[BaseModel]] = ResponsesSettings

    def __init__(self, settings: ResponsesSettings, *, session: aiohttp.ClientSession | None = None) -> None:
        """Makes no connection yet; a `session` (from `transport.new_session`) stays its owner's to close."""
        super().__init__(
            settings,
            url=settings.address(_PATH),
            headers=settings.key_header("Authorization", "Bearer "),
            stream="sse" if settings.stream else "none",
            session=session,
        )
        self._settings = settings

    def _content(self) -> Content:
        return Response()

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {"store": False}  # a probe leaves nothing behind at the provider
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
        body |= self._settings.params
        body |= request.params
        if request.format is not None:
            body["text"] = {"format": _format(request.format), **(body.get("text") or {})}
        body["model"] = self._settings.model
        body["input"] = [item for message in request.messages for item in _items(message)]
        body["stream"] = self._settings.stream
        return {key: value for key, value in body.items() if value is not None}


class Response(Content):
    """A response, from the events of its stream or in one piece.

    The last event repeats the whole response. Its output counts; where a server leaves it out, what the
    pieces said counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self._begun = False
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[dict[str, Any]] = []

    def error(self, body: Mapping[str, Any]) -> tuple[object, str] | None:
        """Code and words of an error event, a failed response or an error in place of one."""
        inner = body.get("response")
        said = error_in(inner if isinstance(inner, dict) else body)
        if said is None and "response.failed" in (body.get("type"), _status(body)):
            return None, ""
        return said

    def add(self, body: Mapping[str, Any], now: float | None) -> None:
        """Takes one event, or a whole response; other events are passed over."""
        if body.get("object") == "response":
            self._whole(body)
            return
        match body.get("type"):
            case "response.created" | "response.in_progress":
                self._head(body)
            case "response.output_text.delta":
                self._say(self._text, body.get("delta"), now)
            case "response.refusal.delta":
                self._say(self._refusal, body.get("delta"), now)
            case "response.function_call_arguments.delta":
                self._felt(now)
            case "response.output_item.done":
                self._item(body.get("item"), words=False)
            case "response.completed" | "response.incomplete":
                self._whole(self._head(body))
                self.finished = True

    def text(self) -> str:
        """The text; a refusal where there is no other."""
        if not self._begun:
            raise MalformedReply("the answer holds no response")
        return "".join(self._text) or "".join(self._refusal)

    def calls(self) -> tuple[Mapping[str, Any], ...]:
        """The functions that the model wants called."""
        return tuple(self._calls)

    def _head(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        response = body.get("response")
        if not isinstance(response, dict):
            raise MalformedReply("`response` is not an object")
        self._begun = True
        self.served_model = label(response.get("model")) or self.served_model
        return response

    def _whole(self, response: Mapping[str, Any]) -> None:
        self._begun = True
        status = response.get("status", "completed")
        if status not in ("completed", "incomplete"):
            raise MalformedReply("the response is neither completed nor incomplete")
        if output := objects(response.get("output"), "output"):
            self._text, self._refusal, self._calls = [], [], []
            for item in output:
                self._item(item, words=True)
        self.served_model = label(response.get("model")) or self.served_model
        self.usage = _usage(response.get("usage"))
        details = response.get("incomplete_details")
        reason = label(details.get("reason")) if isinstance(details, dict) else None
        if status == "incomplete":
            self.finish_reason = _FINISH.get(reason or "", reason) or "incomplete"
        else:
            self.finish_reason = "tool_calls" if self._calls else "stop"

    def _item(self, item: object, *, words: bool) -> None:
        if not isinstance(item, dict):
            raise MalformedReply("an output item is not an object")
        if item.get("type") == "function_call":
            name, arguments = string(item.get("name")), string(item.get("arguments"))
            self._calls.append(call(string(item.get("call_id")), name, arguments))
        elif item.get("type") == "message" and words:
            for part in objects(item.get("content"), "content"):
                self._text.append(string(part.get("text")) if part.get("type") == "output_text" else "")
                self._refusal.append(string(part.get("refusal")))

    def _say(self, into: list[str], delta: object, now: float | None) -> None:
        if text := string(delta):
            self._begun = True
            into.append(text)
            self._felt(now)


def _status(body: Mapping[str, Any]) -> str:
    return f"response.{body.get('status')}" if body.get("object") == "response" else ""


def _usage(usage: object) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    into, out = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    return Usage(
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        cached_tokens=count(into.get("cached_tokens")) if isinstance(into, dict) else None,
        reasoning_tokens=count(out.get("reasoning_tokens")) if isinstance(out, dict) else None,
    )


def _items(message: Message) -> list[JsonObject]:
    """The input items of one message: what was said, then the calls that were made."""
    if message.role == "tool":
        output = message.content if isinstance(message.content, str) else _parts(message)
        return [{"type": "function_call_output", "call_id": message.tool_call_id, "output": output}]
    items: list[JsonObject] = []
    if message.content:
        content = message.content if isinstance(message.content, str) else _parts(message)
        items.append({"role": message.role, "content": content})
    for made in message.tool_calls:
        named = made.get("function", {})
        known = {"name": named.get("name"), "arguments": named.get("arguments")}
        items.append({"type": "function_call", "call_id": made.get("id"), **known})
    return items


def _parts(message: Message) -> list[JsonObject]:
    """Content parts; what is not in the shape of chat completions goes through as it stands."""
    said = "output_text" if message.role == "assistant" else "input_text"
    parts: list[JsonObject] = []
    for part in message.content or ():
        image = part.get("image_url") if isinstance(part, Mapping) else None
        if isinstance(image, Mapping):
            known = {"type": "input_image", "image_url": image.get("url"), "detail": image.get("detail")}
            parts.append({key: value for key, value in known.items() if value is not None})
        elif isinstance(part, Mapping):
            parts.append({**part, "type": said} if part.get("type") == "text" else part)
    return parts


def _tool(tool: JsonObject) -> JsonObject:
    function = tool.get("function")
    return {"type": "function", **function} if isinstance(function, Mapping) else tool


def _format(format: JsonObject) -> JsonObject:
    schema = format.get("json_schema")
    return {"type": "json_schema", **schema} if isinstance(schema, Mapping) else format
