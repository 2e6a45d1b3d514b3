"""A period as people ask for it: the last so long, or from one time to another."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from monitor.config import duration
from monitor.config.problem import Wrong

_USUAL = timedelta(hours=24)


class NotAPeriod(ValueError):
    """What was asked for is no period. The message names the cure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """From `start` (included) to `end` (not), in aware UTC."""

    start: datetime
    end: datetime


def period(
    now: datetime, *, since: str | None = None, start: str | None = None, end: str | None = None
) -> Period:
    """Reads a period; without any word it is the last 24 hours.

    Args:
        now: The time.
        since: How far back, like `24h`.
        start: A time in ISO 8601; UTC unless it names its offset.
        end: The same; now if absent.

    Raises:
        NotAPeriod: It cannot be read, or is empty.
    """
    if since is not None and (start is not None or end is not None):
        raise NotAPeriod("since is given beside from or to; write one of the two")
    if end is not None and start is None:
        raise NotAPeriod("to needs from, like 2026-03-02T12:00")
    if start is None:
        length = _USUAL if since is None else _length(since)
        return Period(start=now - length, end=now + timedelta(seconds=1))
    found = Period(start=_time("from", start), end=now if end is None else _time("to", end))
    if found.start >= found.end:
        raise NotAPeriod("from is not before to; exchange them")
    return found


def _length(written: str) -> timedelta:
    try:
        length = duration.parse(written)
    except Wrong as error:
        raise NotAPeriod(f"since {error}") from None
    if not length or length > timedelta(days=36_500):
        raise NotAPeriod("since should be from 1s to 36500d")
    return length


def _time(name: str, written: str) -> datetime:
    try:
        found = datetime.fromisoformat(written)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotAPeriod(f"{name} is not a time; write it like 2026-03-02T12:00, in UTC") from None
