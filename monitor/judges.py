"""The endpoints that scorers lean on: asked through their own clients, paid from purses of the round at work.

EndpointError
└── NotAsked           our own reasons let no question go
    ├── NoBudget           the judge's dollars of the day are spent
    ├── StoreBusy          the ledger could not be asked
    └── Drained            we are stopping, or another replica has the round
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel

from monitor.config.model import Endpoint
from monitor.metrics import Metrics
from monitor.price import cost_nano
from monitor.purse import Purse, max_tokens_of
from monitor.store.engine import Store
from monitor.store.errors import StoreUnavailable, Superseded
from monitor.store.ledger import Bill
from monitor.store.rounds import Claim
from probes import Client, EndpointError, Outcome, Reply, Request, ScorerError, Usage
from probes.errors import EndpointTimeout
from probes.probe import GRACE


class NotAsked(EndpointError):
    """Our own reasons let no question go."""


class NoBudget(NotAsked):
    """The judge's dollars of the day are spent."""

    outcome = Outcome.NO_BUDGET


class StoreBusy(NotAsked):
    """The ledger could not be asked."""

    outcome = Outcome.STORE_BUSY


class Drained(NotAsked):
    """We are stopping, or another replica has the round."""

    outcome = Outcome.DRAINED


class Consulted:
    """The client that scorers are given for an endpoint: who pays is decided by the round at work."""

    api: ClassVar[int] = 1
    Settings: ClassVar[type[BaseModel]] = BaseModel

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    async def ask(self, request: Request) -> Reply:
        """Asks the endpoint, within its own limits.

        Raises:
            EndpointError: It failed, or was not asked; see the tree above.
            ScorerError: No round is at work.
        """
        judges = _AT_WORK.get()
        if judges is None:
            raise ScorerError(f"endpoint {self._endpoint} is asked within rounds only")
        return await judges.ask(self._endpoint, request)

    async def close(self) -> None:
        """Does nothing: the connections belong to the endpoint's own client."""


@dataclass(frozen=True, kw_only=True)
class _Seat:
    """A judge as this round knows it."""

    settings: Endpoint
    client: Client
    purse: Purse
    turn: AbstractAsyncContextManager[object]


@dataclass(kw_only=True)
class Judges:
    """What one round needs to ask judges.

    Attributes:
        claim: The round.
        own: The purse of the endpoint that the round watches; an endpoint that judges itself pays from it, and
            needs no concurrency of its own, because who waits for a score asks nothing else.
        questions: About how many there will be.
        judge: Endpoint -> its settings and client.
    """

    store: Store
    claim: Claim
    own: Purse
    questions: int
    judge: Callable[[str], tuple[Endpoint, Client]]
    metrics: Metrics
    clock: Callable[[], datetime]
    draining: Callable[[], bool]
    _seats: dict[str, _Seat] = field(default_factory=dict)
    _bills: dict[str, Bill] = field(default_factory=dict)
    _keys: Iterator[int] = field(default_factory=lambda: itertools.count(1_000_000))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Scorers that ask a judge inside the block ask it here."""
        token = _AT_WORK.set(self)
        try:
            yield
        finally:
            _AT_WORK.reset(token)

    async def enter(self, endpoint: str) -> int:
        """Waits for a share of a judge's concurrency, before anything is asked; 0 where we are being drained."""
        settings, client = self.judge(endpoint)
        if endpoint == self.claim.endpoint:
            granted = await self.own.enter(min(settings.limits.concurrency, self.questions))
            self._seats[endpoint] = _Seat(
                settings=settings, client=client, purse=self.own, turn=nullcontext()
            )
            return granted
        purse = Purse(
            self.store,
            self.claim,
            endpoint,
            settings.limits,
            settings.price,
            asks=self.questions,
            max_tokens=max_tokens_of(settings),
            timeout=settings.timeout.total_seconds(),
            clock=self.clock,
            draining=self.draining,
        )
        granted = await purse.enter(min(settings.limits.concurrency, self.questions))
        turn = asyncio.Semaphore(granted)
        self._seats[endpoint] = _Seat(settings=settings, client=client, purse=purse, turn=turn)
        return granted

    async def ask(self, endpoint: str, request: Request) -> Reply:
        """Puts one question, paid in advance, to a judge that was entered.

        Raises:
            EndpointError: It failed, or was not asked.
        """
        try:
            seat = self._seats[endpoint]
            async with seat.turn:
                return await self._put(endpoint, seat, request)
        except StoreUnavailable as error:
            raise StoreBusy("the store is away") from error
        except Superseded as error:
            raise Drained("another replica has the round") from error

    @property
    def owe(self) -> bool:
        """Whether something came up that is not booked yet."""
        return bool(self._bills)

    def bills(self) -> list[Bill]:
        """What came up since it was last asked; the caller books it."""
        bills, self._bills = list(self._bills.values()), {}
        return bills

    async def _put(self, endpoint: str, seat: _Seat, request: Request) -> Reply:
        key, timeout = next(self._keys), seat.settings.timeout.total_seconds()
        refused = await seat.purse.admit(key, request)
        if refused is not None:
            raise _REFUSALS[refused](f"{endpoint} was not asked: {refused}")
        loop = asyncio.get_running_loop()
        began, usage = loop.time(), Usage()
        failed: EndpointError | None = None
        try:
            async with asyncio.timeout(timeout + GRACE):
                reply = await seat.client.ask(replace(request, timeout=timeout))
            usage = reply.usage
            return reply
        except TimeoutError:
            failed = EndpointTimeout(f"no whole reply within {timeout:g} s")
            raise failed from None
        except EndpointError as error:
            failed = error
            raise
        finally:
            spent = cost_nano(seat.settings.price, usage, loop.time() - began) or 0
            bill = self._bills.get(endpoint) or Bill(endpoint=endpoint, day=seat.purse.day)
            self._bills[endpoint] = replace(
                bill,
                requests=bill.requests + 1,
                released_nano=bill.released_nano + seat.purse.release([key]),
                spent_nano=bill.spent_nano + spent,
                input_tokens=bill.input_tokens + (usage.input_tokens or 0),
                output_tokens=bill.output_tokens + (usage.output_tokens or 0),
            )
            self.metrics.judged(endpoint, self.claim.probe, failed.outcome if failed else None, usage, spent)


_AT_WORK: ContextVar[Judges | None] = ContextVar("judges at work", default=None)

_REFUSALS: dict[Outcome, type[NotAsked]] = {
    Outcome.NO_BUDGET: NoBudget,
    Outcome.STORE_BUSY: StoreBusy,
    Outcome.DRAINED: Drained,
}
