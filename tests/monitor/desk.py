"""A desk of messages owed, and notifiers that do as they are told."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, ClassVar, cast

from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from alerts import Notice, NotifyError, Reason, Receipt, Rule, Severity, Signal, evaluate, owed
from alerts.route import Decision
from monitor.delivery import Delivery
from monitor.metrics import Metrics
from monitor.store import incidents
from monitor.store.engine import Store
from monitor.store.incidents import Owed
from monitor.store.tables import notifications
from tests.conftest import Clock
from tests.monitor.look import rows

RULES = (Rule(name="score", signal="score"),)


class NoSettings(BaseModel):
    """Nothing to set."""


class Postman:
    """A notifier that does as it is told, message by message; after the last order it delivers."""

    api: ClassVar[int] = 1

    Settings: ClassVar[type[BaseModel]] = NoSettings

    def __init__(self, settings: Any) -> None:
        self.orders: list[Any] = []
        self.sent: list[tuple[str, int, bool, Receipt | None]] = []
        self.delivered: list[tuple[str, int]] = []
        self.came = asyncio.Event()

    async def send(self, notice: Notice, previous: Receipt | None, *, again: bool) -> Receipt:
        self.sent.append((notice.incident.id, notice.seq, again, previous))
        order = self.orders.pop(0) if self.orders else "deliver"
        if order == "hang":
            self.came.set()
            await asyncio.Event().wait()
        if isinstance(order, Exception):
            raise order
        if order != "deliver":
            return cast(Receipt, order)  # whatever it is
        self.delivered.append((notice.incident.id, notice.seq))
        self.came.set()
        return Receipt(channel=notice.channel, ref={"seq": str(notice.seq)})

    async def close(self) -> None: ...


def refused(*, permanent: bool, retry_after: float | None = None) -> NotifyError:
    return NotifyError(
        "no \x00 such channel", permanent=permanent, reason=Reason.NOT_FOUND, retry_after=retry_after
    )


def postman(*orders: Any) -> Postman:
    """A notifier that obeys these orders, one a message: an error is raised, `hang` hangs, else it is given."""
    made = Postman(NoSettings())
    made.orders = list(orders)
    return made


class Desk:
    """Incidents with the messages that they owe, and a delivery with its notifiers."""

    def __init__(self, store: Store, clock: Clock, **channels: Postman) -> None:
        self.store, self.clock = store, clock
        self.metrics = Metrics(CollectorRegistry(), version="test")
        self.delivery = Delivery(store, channels, clock=clock, rng=random.Random(1), metrics=self.metrics)

    async def owe(self, endpoint: str, channel: str = "oncall", steps: str = "o") -> str:
        """An incident of an endpoint that opens, worsens and resolves, as `steps` has o, w and r."""
        states: dict[str, Any] = {}
        known: tuple[Any, ...] = ()
        for step in steps:
            at = self.clock.advance(seconds=1)
            signal = Signal(
                name="score",
                labels={"endpoint": endpoint},
                value=0.0 if step == "r" else 1.0,
                at=at,
                severity=Severity.CRITICAL if step == "w" else Severity.WARNING,
                summary=f"score down {step}",
            )
            changes = evaluate(RULES, states, known, [signal], at, lambda: f"inc_{endpoint}")
            states, known = {**states, **changes.states}, changes.incidents
            decision = Decision(channel=channel, mention=None, reason="")
            (transition,) = changes.transitions
            name = f"ntf_{endpoint}_{transition.incident.seq}"
            notice = owed(transition, decision, partial(str, name), {})
            assert notice is not None
            async with self.store.write() as connection:
                await incidents.apply(connection, self.store, endpoint, changes, [notice], at)
        return f"inc_{endpoint}"

    async def claim(self, channel: str = "oncall") -> Owed | None:
        return await incidents.claim_due(self.store, channel, self.clock())

    async def deliver(self, channel: str = "oncall") -> bool:
        """Tries the next message; False where none is due."""
        claimed = await self.claim(channel)
        if claimed is not None:
            await self.delivery.deliver(claimed)
        return claimed is not None

    async def row(self, incident: str, seq: int = 1) -> Any:
        (found,) = await rows(
            self.store, notifications, notifications.c.incident_id == incident, notifications.c.seq == seq
        )
        return found

    @asynccontextmanager
    async def running(self, *channels: str) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self.delivery.run(channel)) for channel in channels]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
