"""How late our own event loop is: a time measured while we were late says little about the endpoint."""

import asyncio
from collections import deque

_PERIOD = 0.05
_REMEMBERED = 4000  # at 20 a second: more than three minutes, longer than most attempts


class LoopLag:
    """Samples the loop's lateness twenty times a second."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        self._due: float | None = None  # of the sample under way

    async def watch(self) -> None:
        """Samples until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                due = self._due = loop.time() + _PERIOD
                await asyncio.sleep(_PERIOD)
                now = loop.time()
                self._samples.append((now, max(0.0, now - due)))
        finally:
            self._due = None

    def worst(self, since: float) -> float:
        """The worst lateness in seconds since `since` (the loop's clock); 0 where nothing was sampled.

        A sample that is overdue counts too: who asks right after a stall may be served before the sampler.
        """
        worst = 0.0 if self._due is None else max(0.0, asyncio.get_running_loop().time() - self._due)
        for at, late in reversed(self._samples):
            if at < since:
                break
            worst = max(worst, late)
        return worst

    @property
    def latest(self) -> float:
        """The last sample, in seconds."""
        return self._samples[-1][1] if self._samples else 0.0
