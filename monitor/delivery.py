"""Sends what is owed: claims a notification, tells the channel, stores the receipt. Retries live here only."""

import asyncio
import json
import logging
import random
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from alerts import Notifier, NotifyError
from monitor.metrics import Metrics
from monitor.results import storable
from monitor.store import incidents
from monitor.store.engine import Store
from monitor.store.errors import StoreUnavailable, Superseded
from monitor.store.incidents import Owed

log = logging.getLogger("plumbline.delivery")

_POLL_SECONDS = 2.0
#: Above what a notifier may need: Slack makes up to five calls of ten seconds for one notice.
_SEND_SECONDS = 60.0
_LONGEST_WAIT = 300.0
#: Nobody may make us wait longer than this, whatever a far side asks for.
_LONGEST_ASKED = 3600.0


class Delivery:
    """One loop per channel, so that a dead channel never holds up another."""

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, Notifier],
        *,
        clock: Callable[[], datetime],
        rng: random.Random,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._channels = channels
        self._clock = clock
        self._rng = rng
        self._metrics = metrics
        self._news = {name: asyncio.Event() for name in channels}

    def wake(self) -> None:
        """Something may be owed: look now rather than at the next poll."""
        for event in self._news.values():
            event.set()

    async def run(self, channel: str) -> None:
        """Sends the channel's messages until cancelled."""
        news = self._news[channel]
        while True:
            try:
                owed = await incidents.claim_due(self._store, channel, self._clock())
                if owed is not None:
                    await self._deliver_or_give_back(owed)
                    continue
            except StoreUnavailable as error:
                log.warning("%s: the store is away, messages wait: %s", channel, error)
            except Exception:
                # One message that cannot be read or recorded must not silence its channel for good.
                self._metrics.background_errors.labels("delivery").inc()
                log.exception("%s: delivery failed; this is a bug", channel)
            try:
                await asyncio.wait_for(news.wait(), _POLL_SECONDS)
            except TimeoutError:
                continue
            finally:
                news.clear()

    async def _deliver_or_give_back(self, owed: Owed) -> None:
        """Delivers; where we are stopped meanwhile (a reload makes new senders), the next one need not wait."""
        try:
            await self.deliver(owed)
        except asyncio.CancelledError:
            with suppress(StoreUnavailable):
                await self._record(owed, incidents.DUE, due=self._clock())
            raise

    async def deliver(self, owed: Owed) -> None:
        """Tries one claimed notification once and records how it went."""
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                told = await self._channels[owed.channel].send(owed.notice, owed.previous, again=owed.again)
            receipt, note = storable(json.loads(json.dumps(told.as_json()))), storable(told.note)
        except NotifyError as error:
            detail = storable(error.detail)
            await self._failed(owed, str(error.reason), detail, error.permanent, error.retry_after)
        except TimeoutError:
            await self._failed(owed, "deadline", f"no answer within {_SEND_SECONDS:.0f} s", False, None)
        except Exception as error:
            # A notifier's bug must not stop the channel. Its words may hold a token: only type and place are told.
            place = "".join(traceback.format_tb(error.__traceback__))
            name = type(error).__name__
            log.error("%s: the notifier failed on %s with %s\n%s", owed.channel, owed.id, name, place)
            await self._failed(owed, "client", "the notifier has a bug; see the log", False, None)
        else:
            now = self._clock()
            await self._record(owed, incidents.SENT, receipt=receipt, sent=now, reason=note)
            log.info("%s: told of %s (%s)", owed.channel, owed.incident_id, owed.notice.kind)
            self._metrics.notifications.labels(owed.channel).inc()
            late = (now - owed.notice.at).total_seconds()
            self._metrics.notification_latency.labels(owed.channel).observe(max(0.0, late))

    async def _failed(
        self, owed: Owed, reason: str, detail: str, permanent: bool, retry_after: float | None
    ) -> None:
        self._metrics.notifications_failed.labels(owed.channel, reason).inc()
        if permanent:
            log.error("%s: %s will not be told: %s", owed.channel, owed.incident_id, detail)
            await self._record(owed, incidents.FAILED, reason=f"{reason}: {detail}")
            return
        asked = min(max(0.0, retry_after), _LONGEST_ASKED) if retry_after is not None else None
        wait = asked if asked is not None else self._backoff(owed.attempts)
        log.warning("%s: try %d failed, next in %.0f s: %s", owed.channel, owed.attempts, wait, detail)
        due = self._clock() + timedelta(seconds=wait)
        await self._record(owed, incidents.DUE, reason=f"{reason}: {detail}", due=due)

    def _backoff(self, attempts: int) -> float:
        doubled = 2.0 ** min(attempts, 10)  # a channel may be dead for more tries than a float can count
        return float(min(_LONGEST_WAIT, doubled) * (0.5 + self._rng.random() / 2))

    async def _record(self, owed: Owed, state: str, **values: object) -> None:
        try:
            await incidents.finish(self._store, owed, state=state, **values)
        except Superseded:
            log.warning("%s: %s was handed to another sender meanwhile", owed.channel, owed.id)
