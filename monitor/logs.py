"""What the process says while it runs: lines for people, or one JSON object a line for programs.

Everything goes through the loggers under `plumbline`. Libraries are heard from WARNING on only: some write
addresses and statements at lower levels, and these may hold what nobody should read.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

_INDENT = "\n    "


class Form(StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


def set_up(form: Form = Form.TEXT, *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Sends our log lines from `level` on to `stream` (stderr by default); a second call replaces the first."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form is Form.JSON else PlainLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("plumbline").setLevel(level)
    logging.captureWarnings(True)


def clean(text: str) -> str:
    """The text without control characters: a reply of a model may not steer a terminal. Line breaks stay."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\u{ord(character):04x}"
        for character in text.replace("\t", "    ")
    )


class PlainLines(logging.Formatter):
    """`23:30:01 message`, with the level where it is a warning or worse; further lines are indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        at = datetime.fromtimestamp(record.created, UTC)
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        text = clean(record.getMessage() + _traceback(record))
        return f"{at:%H:%M:%S} {level}{text.replace(chr(10), _INDENT)}"


class JsonLines(logging.Formatter):
    """One object a line: at, level, logger, message and, after a failure, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, which escapes what is not printable."""
        at = datetime.fromtimestamp(record.created, UTC)
        line = {
            "at": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace := _traceback(record).strip():
            line["exception"] = trace
        return json.dumps(line)


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    return "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
