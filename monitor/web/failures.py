"""Who sent wrong tokens of late: how long they have to wait, and what of it is worth a line in the audit trail.

Memory and trail are bounded, whoever comes: so many addresses are known, so many lines are written a minute.
"""

import ipaddress
from collections import OrderedDict, deque
from datetime import datetime, timedelta
from enum import StrEnum

#: So many wrong tokens in such a time are forgiven.
MOST = 10
WITHIN = timedelta(minutes=1)
#: So many addresses are remembered; the one that was quiet for longest is forgotten first.
_ADDRESSES = 1024
#: All addresses together get so many lines in `WITHIN`; the trail is kept for ever.
_LINES = 10


class Turn(StrEnum):
    """What is new about a failure."""

    FIRST = "first"
    LIMITED = "limited"


class _Burst:
    """The latest failures of one address. It ends when nothing failed for a whole `WITHIN`."""

    def __init__(self) -> None:
        self.times: deque[datetime] = deque(maxlen=MOST)
        self.told_limit = False


class Failures:
    """The failures of all addresses. Takes the time; never looks at a clock."""

    def __init__(self) -> None:
        self._bursts: OrderedDict[str, _Burst] = OrderedDict()
        self._lines: deque[datetime] = deque(maxlen=_LINES)

    def wait(self, address: str, now: datetime) -> timedelta | None:
        """How long an address has to wait; None where it may try."""
        burst = self._bursts.get(address)
        if burst is None or len(burst.times) < MOST or not _recent(burst.times[0], now):
            return None
        return WITHIN - (now - burst.times[0])

    def note(self, address: str, now: datetime) -> Turn | None:
        """Counts one failure; says what is worth a line in the audit trail, None where nothing is."""
        burst = self._bursts.get(address)
        if burst is None or not _recent(burst.times[-1], now):
            burst = self._bursts[address] = _Burst()
        burst.times.append(now)
        self._bursts.move_to_end(address)
        if len(self._bursts) > _ADDRESSES:
            self._bursts.popitem(last=False)
        if len(burst.times) == 1:
            return self._worth(Turn.FIRST, now)
        if self.wait(address, now) is not None and not burst.told_limit:
            burst.told_limit = True
            return self._worth(Turn.LIMITED, now)
        return None

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._bursts)

    def _worth(self, turn: Turn, now: datetime) -> Turn | None:
        if len(self._lines) == _LINES and _recent(self._lines[0], now):
            return None
        self._lines.append(now)
        return turn


def counted_as(remote: str | None) -> str:
    """What the peer's address counts as: an IPv6 one as its /64, for whoever has one has all of them."""
    try:
        address = ipaddress.ip_address(remote or "")
    except ValueError:
        return "unknown"
    if not isinstance(address, ipaddress.IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))


def _recent(then: datetime, now: datetime) -> bool:
    return timedelta(0) <= now - then < WITHIN
