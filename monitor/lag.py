"""How late our own event loop is: a time measured while we were late says little about the endpoint."""

import asyncio
from collections import deque

_PERIOD = 0.05
_REMEMBERED = 4000  # at 20 a second: more than three minutes, longer than most attempts


class LoopLag:
    """Samples the loop's lateness twenty times a second."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)

    async def watch(self) -> None:
        """Samples until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due, loop.time()) + _PERIOD
            await asyncio.sleep(due - loop.time())
            now = loop.time()
            self._samples.append((now, max(0.0, now - due)))

    def worst(self, since: float) -> float:
        """The worst lateness in seconds since `since` (the loop's clock); 0 where nothing was sampled."""
        worst = 0.0
        for at, late in reversed(self._samples):
            if at < since:
                break
            worst = max(worst, late)
        return worst

    @property
    def latest(self) -> float:
        """The last sample, in seconds."""
        return self._samples[-1][1] if self._samples else 0.0
