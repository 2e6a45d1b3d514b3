"""An endpoint without a network: answers from a list, a table or a function, for tests and dry runs."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from probes.errors import EndpointError, EndpointTimeout
from probes.reply import Reply, Request, Timings

#: Gives the answer to a request; an EndpointError is how the attempt fails.
AnswerTo = Callable[[Request], str | Reply | EndpointError]


class ScriptedSettings(BaseModel):
    """The keys of an endpoint of kind `scripted`.

    Attributes:
        replies: Answers in turn, from the first again after the last; or last user message -> answer.
        default: The answer where `replies` has none.
        delay: Seconds that each answer takes.
        model: The model's name that each answer carries.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    replies: list[str] | dict[str, str] = Field(default_factory=list)
    default: str = "…"
    delay: Annotated[float, Field(ge=0)] = 0.0
    model: str = "scripted"


class ScriptedClient:
    """Answers as it was told to, each time alike."""

    api: ClassVar[int] = 1
    Settings: ClassVar[type[BaseModel]] = ScriptedSettings

    def __init__(self, settings: ScriptedSettings, *, answer: AnswerTo | None = None) -> None:
        """A function given as `answer` takes the place of the settings' replies."""
        self._settings = settings
        self._answer = answer or self._from_settings
        self._asked = 0

    async def ask(self, request: Request) -> Reply:
        """Gives the scripted answer after the delay.

        Args:
            request: What to ask; its timeout holds here too.

        Raises:
            EndpointError: The script says so, or the delay is longer than the timeout.
        """
        started = monotonic()
        answer = self._answer(request)
        if self._settings.delay:
            await asyncio.sleep(min(self._settings.delay, request.timeout))
        if self._settings.delay > request.timeout:
            raise EndpointTimeout(f"no whole reply within {request.timeout:g} s")
        if isinstance(answer, EndpointError):
            raise answer
        if isinstance(answer, Reply):
            return answer
        timings = Timings(total=monotonic() - started)
        return Reply(text=answer, timings=timings, finish_reason="stop", served_model=self._settings.model)

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _from_settings(self, request: Request) -> str:
        replies = self._settings.replies
        if isinstance(replies, dict):
            return replies.get(_last_words(request), self._settings.default)
        if not replies:
            return self._settings.default
        turn, self._asked = self._asked, self._asked + 1
        return replies[turn % len(replies)]


def _last_words(request: Request) -> str:
    for message in reversed(request.messages):
        if message.role == "user" and isinstance(message.content, str):
            return message.content
    return ""
