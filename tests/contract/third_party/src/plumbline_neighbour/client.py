"""A client that gives the last message back."""

import asyncio
from time import monotonic
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from probes import Reply, Request, Timings
from probes.errors import EndpointTimeout


class MirrorSettings(BaseModel):
    """The keys of an endpoint of kind `mirror`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    model: str = "mirror-1"
    api_key: SecretStr | None = None
    delay: Annotated[float, Field(ge=0)] = 0.0


class Mirror:
    """Answers with what it was asked."""

    api: ClassVar[int] = 1
    Settings: ClassVar[type[BaseModel]] = MirrorSettings

    def __init__(self, settings: MirrorSettings) -> None:
        self._settings = settings

    async def ask(self, request: Request) -> Reply:
        """Gives the text of the last message back, after the delay."""
        started = monotonic()
        try:
            async with asyncio.timeout(request.timeout):
                await asyncio.sleep(self._settings.delay)
        except TimeoutError:
            raise EndpointTimeout("the mirror was too slow") from None
        said = request.messages[-1].content if request.messages else ""
        text = said if isinstance(said, str) else ""
        return Reply(
            text=text, timings=Timings(total=monotonic() - started), served_model=self._settings.model
        )

    async def close(self) -> None:
        """Holds nothing."""
