"""Endpoints that speak Anthropic's messages: Anthropic, and gateways such as LiteLLM."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import aiohttp
import orjson
from pydantic import BaseModel, Field

from probes.case import JsonObject, Message
from probes.clients.content import Content, call, count, label, objects, string
from probes.clients.endpoint import ApiSettings, EndpointClient
from probes.clients.path import as_text
from probes.errors import MalformedReply
from probes.reply import Request, Usage

#: The protocol demands a limit; this one holds where the config has none.
_MAX_TOKENS = 1024
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


class AnthropicSettings(ApiSettings):
    """The keys of an endpoint of kind `anthropic`; the key is sent as `x-api-key`.

    Attributes:
        version: Sent as `anthropic-version`.
    """

    own_keys: ClassVar[frozenset[str]] = frozenset({"model", "messages", "system", "stream"})

    version: Annotated[str, Field(pattern=r"^[\w.-]+$")] = "2023-06-01"


class AnthropicClient(EndpointClient):
    """Asks one endpoint by messages, streamed."""

    Settings: ClassVar[type[BaseModel]] = AnthropicSettings

    def __init__(self, settings: AnthropicSettings, *, session: aiohttp.ClientSession | None = None) -> None:
        """Makes no connection yet; a `session` (from `transport.new_session`) stays its owner's to close."""
        super().__init__(
            settings,
            url=settings.address("messages"),
            headers={"anthropic-version": settings.version, **settings.key_header("x-api-key")},
            stream="sse" if settings.stream else "none",
            session=session,
        )
        self._settings = settings

    def _content(self) -> Content:
        return AnthropicMessage()

    def _body(self, request: Request) -> dict[str, Any]:
        system, turns = _split(request.messages)
        body: dict[str, Any] = {"max_tokens": _MAX_TOKENS}
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
        body |= self._settings.params
        body |= request.params
        if made := _format(request.format):
            body["output_config"] = {"format": made, **(body.get("output_config") or {})}
        body |= {"model": self._settings.model, "messages": turns, "stream": self._settings.stream}
        body["system"] = system
        return {key: value for key, value in body.items() if value is not None}


class AnthropicMessage(Content):
    """A message, from the events of its stream or in one piece."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = False
        self._text: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._counts: dict[str, int] = {}

    def add(self, body: Mapping[str, Any], now: float | None) -> None:
        """Takes one event, or a whole message; events of an unknown type are passed over, as asked for."""
        match body.get("type"):
            case "message":
                self._head(body)
                for index, block in enumerate(objects(body.get("content"), "content")):
                    self._block(index, block, now)
                self._end(body)
            case "message_start":
                self._head(_object(body, "message"))
            case "content_block_start":
                self._block(_index(body), _object(body, "content_block"), now)
            case "content_block_delta":
                self._delta(_index(body), _object(body, "delta"), now)
            case "message_delta":
                self._end(_object(body, "delta"))
                self._count(body.get("usage"))
            case "message_stop":
                self.finished = True

    def text(self) -> str:
        """The text blocks, joined."""
        if not self._begun:
            raise MalformedReply("the answer holds no message")
        return "".join(self._text)

    def calls(self) -> tuple[Mapping[str, Any], ...]:
        """The tools that the model wants used."""
        for made in self._calls.values():  # a tool without parameters may come without a piece of them
            made["function"]["arguments"] = made["function"]["arguments"] or "{}"
        return tuple(self._calls.values())

    def _head(self, message: Mapping[str, Any]) -> None:
        self._begun = True
        self.served_model = label(message.get("model"))
        self._count(message.get("usage"))

    def _end(self, said: Mapping[str, Any]) -> None:
        if reason := label(said.get("stop_reason")):
            self.finish_reason = _FINISH.get(reason, reason)

    def _block(self, index: int, block: Mapping[str, Any], now: float | None) -> None:
        if block.get("type") == "tool_use":
            given = block.get("input")  # in a stream it is empty, and comes in pieces
            arguments = as_text(given) if given or now is None else ""
            self._calls[index] = call(string(block.get("id")), string(block.get("name")), arguments)
            self._felt(now)
        elif block.get("type") == "text":
            self._say(string(block.get("text")), now)

    def _delta(self, index: int, delta: Mapping[str, Any], now: float | None) -> None:
        if delta.get("type") == "text_delta":
            self._say(string(delta.get("text")), now)
        elif delta.get("type") == "input_json_delta" and index in self._calls:
            self._calls[index]["function"]["arguments"] += string(delta.get("partial_json"))
            self._felt(now)

    def _say(self, text: str, now: float | None) -> None:
        if text:
            self._text.append(text)
            self._felt(now)

    def _count(self, usage: object) -> None:
        """Counts are totals so far. The input of a `Usage` holds the cached part, this protocol's does not."""
        if not isinstance(usage, dict):
            return
        self._counts |= {key: n for key in _COUNTS if (n := count(usage.get(key))) is not None}
        into = [self._counts[key] for key in _COUNTS[:3] if key in self._counts]
        self.usage = Usage(
            input_tokens=count(sum(into)) if "input_tokens" in self._counts else None,
            output_tokens=self._counts.get("output_tokens"),
            cached_tokens=self._counts.get("cache_read_input_tokens"),
        )


def _object(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key)
    if not isinstance(value, dict):
        raise MalformedReply(f"`{key}` is not an object")
    return value


def _index(body: Mapping[str, Any]) -> int:
    index = body.get("index")
    return index if isinstance(index, int) else 0


def _split(messages: tuple[Message, ...]) -> tuple[str | list[Any] | None, list[dict[str, Any]]]:
    """The system prompt, which stands beside the turns here, and the turns."""
    system: list[Any] = []
    turns: list[dict[str, Any]] = []
    results_open = False
    for message in messages:
        if message.role in ("system", "developer"):
            system += _blocks(message)
        elif message.role == "tool":
            if not results_open:  # the results of one turn's calls must come in one message
                turns.append({"role": "user", "content": []})
            turns[-1]["content"].append(_result(message))
        else:
            turns.append({"role": message.role, "content": _said(message)})
        results_open = message.role == "tool"
    if all(block.get("type") == "text" and block.keys() == {"type", "text"} for block in system):
        return "\n\n".join(block["text"] for block in system) or None, turns
    return system, turns


def _said(message: Message) -> str | list[Any]:
    if isinstance(message.content, str) and not message.tool_calls:
        return message.content
    return [*_blocks(message), *map(_use, message.tool_calls)]


def _blocks(message: Message) -> list[Any]:
    if isinstance(message.content, str):
        return [{"type": "text", "text": message.content}] if message.content else []
    return [_part(part) for part in message.content or ()]


def _part(part: JsonObject) -> JsonObject:
    """A content part; what is no image in the shape of chat completions goes through as it stands."""
    image = part.get("image_url")
    if part.get("type") != "image_url" or not isinstance(image, Mapping):
        return part
    url = str(image.get("url"))
    if url.startswith("data:"):
        kind, _, data = url.removeprefix("data:").partition(";base64,")
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    return {"type": "image", "source": {"type": "url", "url": url}}


def _use(made: JsonObject) -> dict[str, Any]:
    function = made.get("function", {})
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments or "{}")
        except orjson.JSONDecodeError:
            arguments = {"arguments": arguments}  # the protocol takes objects only
    return {"type": "tool_use", "id": made.get("id"), "name": function.get("name"), "input": arguments or {}}


def _result(message: Message) -> dict[str, Any]:
    content = message.content if isinstance(message.content, str) else _blocks(message)
    return {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": content}


def _tool(tool: JsonObject) -> JsonObject:
    """A tool's definition; one that is not in the shape of chat completions goes through as it stands."""
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return tool
    schema = function.get("parameters", {"type": "object", "properties": {}})
    made = {"name": function.get("name"), "description": function.get("description"), "input_schema": schema}
    return {key: value for key, value in made.items() if value is not None}


def _format(format: JsonObject | None) -> JsonObject | None:
    """A JSON schema; a mode without one is not known to the protocol, so that it is left out."""
    schema = (format or {}).get("json_schema")
    return {"type": "json_schema", "schema": schema.get("schema")} if isinstance(schema, Mapping) else None
