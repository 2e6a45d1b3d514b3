"""What one round may spend: it asks the ledger in blocks, so that a request costs no transaction."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from monitor.config.model import Endpoint, Limits, Price
from monitor.price import cost_nano
from monitor.store import ledger
from monitor.store.engine import Store
from monitor.store.errors import StoreUnavailable
from monitor.store.rounds import Claim
from probes import Case, Outcome, Request, Usage

#: What endpoints call the most output tokens that they may write.
MAX_TOKENS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
#: Output tokens to set aside for where a case names no maximum.
_ASSUMED_OUTPUT = 1024
#: Bytes of a prompt per token, low on purpose: a reservation should rather be too large. Bytes, because in
#: scripts beyond Latin a character is a token or more.
_BYTES_PER_TOKEN = 3

_NANO_PER_USD = 1_000_000_000


def max_tokens_of(endpoint: Endpoint) -> int | None:
    """The most output tokens that an endpoint's own parameters allow; None where they do not say."""
    params = getattr(endpoint.settings, "params", {})
    named = params if isinstance(params, Mapping) else {}
    found = next((named[name] for name in MAX_TOKENS if name in named), None)
    return found if isinstance(found, int) else None


def worst_nano(price: Price, asked: Case | Request, default_max_tokens: int | None, timeout: float) -> int:
    """What an attempt may cost at most, as far as can be told before it is made.

    Args:
        price: The endpoint's.
        asked: What is sent.
        default_max_tokens: Output tokens where it names no maximum.
        timeout: Its deadline in seconds, which is what it may take of a price per hour.
    """
    sent = [message.content or "" for message in asked.messages] + [dict(each) for each in asked.tools]
    length = sum(len(str(each).encode("utf-8", "replace")) for each in sent)
    params = asked.params
    given = next((params[name] for name in MAX_TOKENS if name in params), default_max_tokens)
    output = given if isinstance(given, int) else _ASSUMED_OUTPUT
    into = length // _BYTES_PER_TOKEN + 16
    extremes = (  # all of it, or none, may come from a cache or be reasoning, and that may be the dearer way
        Usage(input_tokens=into, output_tokens=output, cached_tokens=cached, reasoning_tokens=reasoning)
        for cached in (0, into)
        for reasoning in (0, output)
    )
    return max(cost_nano(price, usage, timeout) or 0 for usage in extremes)


class Purse:
    """One round's money, pace and concurrency at one endpoint."""

    def __init__(
        self,
        store: Store,
        claim: Claim,
        endpoint: str,
        limits: Limits,
        price: Price | None,
        *,
        asks: int,
        max_tokens: int | None,
        timeout: float,
        clock: Callable[[], datetime],
        draining: Callable[[], bool],
    ) -> None:
        self._store = store
        self._claim = claim
        self._endpoint = endpoint
        self._limits = limits
        self._price = price
        self._max_tokens = max_tokens
        self._timeout = timeout
        self.day = clock().date()  # a round's money belongs to the day it began on
        self._draining = draining
        self._lock = asyncio.Lock()
        self._starts: deque[float] = deque()
        self._set_aside = 0
        self._needs: dict[int, int] = {}
        self._capped = False
        self._left = asks

    async def enter(self, wanted: int) -> int:
        """Waits for a share of the endpoint's concurrency; 0 where we are being drained."""
        while not self._draining():
            granted = await ledger.enter(
                self._store,
                self._claim,
                self._endpoint,
                wanted=wanted,
                limit=self._limits.concurrency,
                day=self.day,
            )
            if granted:
                return granted
            await asyncio.sleep(0.5)
        return 0

    async def admit(self, key: int, asked: Case | Request) -> Outcome | None:
        """Lets one attempt go, or says which of our own reasons stopped it.

        Args:
            key: What `release` will know it by.
            asked: What is to be sent.
        """
        if self._draining():
            return Outcome.DRAINED
        if self._limits.usd_per_day is None and self._limits.requests_per_minute is None:
            return None
        try:
            async with self._lock:
                if not await self._afford(key, asked):
                    return Outcome.NO_BUDGET
                start = await self._next_start()
                self._left -= 1
        except StoreUnavailable:
            return Outcome.STORE_BUSY
        await asyncio.sleep(max(0.0, start - asyncio.get_running_loop().time()))
        return Outcome.DRAINED if self._draining() else None

    async def _afford(self, key: int, asked: Case | Request) -> bool:
        if self._limits.usd_per_day is None:
            return True
        if self._price is None or self._capped:
            return False  # an unpriced model under a dollar cap could spend anything: fail safe
        need = worst_nano(self._price, asked, self._max_tokens, self._timeout)
        if need > self._set_aside:
            cap = round(self._limits.usd_per_day * _NANO_PER_USD)
            # A block first, then at least this one: the last cents of a day are still usable.
            for amount in (need * self._block(), need):
                if await ledger.reserve(
                    self._store, self._claim, self._endpoint, nano=amount, cap_nano=cap, day=self.day
                ):
                    self._set_aside += amount
                    break
            else:
                self._capped = True
                return False
        self._set_aside -= need
        self._needs[key] = need
        return True

    async def _next_start(self) -> float:
        loop = asyncio.get_running_loop()
        per_minute = self._limits.requests_per_minute
        if per_minute is None:
            return loop.time()
        while self._starts and self._starts[0] < loop.time():
            # Nobody was free when it came. Used now, it would crowd with the starts that were booked for now.
            self._starts.popleft()
        if not self._starts:
            block = max(1, min(self._block(), per_minute // 60))  # no more than a second's worth is ever lost
            wait = await ledger.pace(self._store, self._endpoint, requests=block, per_minute=per_minute)
            first = loop.time() + wait
            self._starts.extend(first + n * 60 / per_minute for n in range(block))
        return self._starts.popleft()

    def _block(self) -> int:
        return max(1, min(2 * self._limits.concurrency, self._left))

    def release(self, keys: Iterable[int]) -> int:
        """Nano-dollars that were set aside for these attempts, to be settled with what they really cost."""
        return sum(self._needs.pop(key, 0) for key in keys)
