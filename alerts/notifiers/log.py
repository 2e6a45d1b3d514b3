"""To the log: the default channel, and what the demo and many tests read."""

import logging
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from alerts.engine import TransitionKind
from alerts.notification import Notice
from alerts.notifier import Receipt
from alerts.signal import Severity
from alerts.text import render_text

_LOGGER = logging.getLogger("plumbline.alert")
_LEVELS = {Severity.INFO: logging.INFO, Severity.WARNING: logging.WARNING, Severity.CRITICAL: logging.ERROR}


class LogSettings(BaseModel):
    """Nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LogNotifier:
    """Writes each alert to the logger `plumbline.alert`, as on-call would read it.

    Opened and worsened incidents come at the level of their severity, resolved ones at INFO; mere updates,
    which other channels edit in silence, at DEBUG.
    """

    api: ClassVar[int] = 1
    Settings: ClassVar[type[BaseModel]] = LogSettings

    def __init__(self, settings: LogSettings) -> None:
        self._settings = settings

    async def send(self, notice: Notice, previous: Receipt | None, *, again: bool) -> Receipt:
        """Writes the notice; a log cannot be searched, so one tried again may stand there twice."""
        _LOGGER.log(_level(notice), "%s", render_text(notice))
        return Receipt(channel=notice.channel)

    async def close(self) -> None:
        """Holds nothing."""


def _level(notice: Notice) -> int:
    if notice.kind is TransitionKind.UPDATED:
        return logging.DEBUG
    if notice.kind is TransitionKind.RESOLVED:
        return logging.INFO
    return _LEVELS[notice.incident.severity]
