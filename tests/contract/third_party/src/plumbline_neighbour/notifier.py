"""A notifier that appends to a file."""

import asyncio
import json
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from alerts import Notice, NotifyError, Reason, Receipt


class JournalSettings(BaseModel):
    """The keys of a channel of kind `journal`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path


class Journal:
    """Writes each notice as a line of JSON."""

    api: ClassVar[int] = 1
    Settings: ClassVar[type[BaseModel]] = JournalSettings

    def __init__(self, settings: JournalSettings) -> None:
        self._path = settings.path

    async def send(self, notice: Notice, previous: Receipt | None, *, again: bool) -> Receipt:
        """Appends the notice; a second attempt finds the line of the first."""
        line = json.dumps({"id": notice.id, "said": notice.as_json()})
        try:
            await asyncio.to_thread(self._append, notice.id, line)
        except OSError as error:
            raise NotifyError(
                f"cannot write: {error.strerror}", permanent=True, reason=Reason.CLIENT
            ) from None
        return Receipt(channel=notice.channel, ref={"id": notice.id})

    def _append(self, id: str, line: str) -> None:
        with self._path.open("a+") as journal:
            journal.seek(0)
            if not any(json.loads(written)["id"] == id for written in journal):
                journal.write(f"{line}\n")

    async def close(self) -> None:
        """Holds nothing."""
