"""Endpoints that speak OpenAI's chat completions: OpenAI, Azure, vLLM, Ollama, llama.cpp, LiteLLM."""

from typing import Any, ClassVar

import aiohttp
from pydantic import BaseModel

from probes.clients.completion import Completion
from probes.clients.content import Content
from probes.clients.endpoint import ApiSettings, EndpointClient
from probes.reply import Request


class OpenAISettings(ApiSettings):
    """The keys of an endpoint of kind `openai`; the key is sent as `Authorization: Bearer`."""

    own_keys: ClassVar[frozenset[str]] = frozenset({"model", "messages", "stream"})


class OpenAIClient(EndpointClient):
    """Asks one endpoint by chat completions, streamed."""

    Settings: ClassVar[type[BaseModel]] = OpenAISettings

    def __init__(self, settings: OpenAISettings, *, session: aiohttp.ClientSession | None = None) -> None:
        """Makes no connection yet; a `session` (from `transport.new_session`) stays its owner's to close."""
        super().__init__(
            settings,
            url=settings.address("chat/completions"),
            headers=settings.key_header("Authorization", "Bearer "),
            stream="sse" if settings.stream else "none",
            session=session,
        )
        self._settings = settings

    def _content(self) -> Content:
        return Completion()

    def _body(self, request: Request) -> dict[str, Any]:
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
        return {key: value for key, value in body.items() if value is not None}
