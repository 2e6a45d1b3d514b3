"""Is our own network up? Only then may a name that does not resolve be held against an endpoint."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

#: A check, or another endpoint's reply, proves the network for this long.
FRESH = timedelta(seconds=60)
_CONNECT_SECONDS = 3.0


class Uplink:
    """Knows when the outside was last seen.

    Two proofs count: a connection to one of the configured targets, and a reply from an endpoint. A
    reply from the very endpoint that is in question proves nothing about the time after it, so `up`
    looks at the others only.
    """

    def __init__(self, targets: Sequence[str], clock: Callable[[], datetime]) -> None:
        self.targets = tuple(targets)
        self._clock = clock
        self._replied: dict[str, datetime] = {}
        self.last_up: bool | None = None

    def replied(self, endpoint: str) -> None:
        """An endpoint answered: there is a network."""
        self._replied[endpoint] = self._clock()

    async def up(self, endpoint: str) -> bool:
        """Whether the network was seen up by anything but `endpoint` within the last minute, checking now."""
        now = self._clock()
        others = [at for name, at in self._replied.items() if name != endpoint]
        seen = any(now - at <= FRESH for at in others) if not self.targets else await self._reach_any()
        self.last_up = seen
        return seen

    async def _reach_any(self) -> bool:
        tries = [asyncio.ensure_future(_reaches(target)) for target in self.targets]
        try:
            for done in asyncio.as_completed(tries):
                if await done:
                    return True
            return False
        finally:
            for one in tries:
                one.cancel()
            await asyncio.gather(*tries, return_exceptions=True)


async def _reaches(target: str) -> bool:
    host, _, port = target.rpartition(":")
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
