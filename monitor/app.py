"""The daemon: one straight line from a config to running tasks, each teardown beside its start."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from sqlalchemy import delete

from alerts import Notifier
from monitor import alive, retention
from monitor.assess import Closed
from monitor.config.load import Loaded
from monitor.delivery import Delivery
from monitor.describe import round_line
from monitor.drift.detector import VerdictKind
from monitor.runtime import Runtime, World
from monitor.schedule import Schedule
from monitor.store import incidents, rounds, schema
from monitor.store.engine import Store
from monitor.store.errors import StoreError, StoreUnavailable, Superseded
from monitor.store.rounds import Claim
from monitor.store.tables import replicas
from monitor.version import VERSION
from monitor.watch import Watch
from monitor.web.app import serve

log = logging.getLogger("plumbline")
round_log = logging.getLogger("plumbline.round")

#: How long a drain waits for attempts under way; systemd's default is to kill after 90 s.
DRAIN_SECONDS = 20.0
_BEAT_SECONDS = 5.0
_SILENT_REPLICA = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One line of readiness."""

    name: str
    ok: bool
    why: str = ""


class App:
    """A running daemon: `async with App(...) as app`, then `await app.finished()`.

    It owns no signals and no flags (the command does), so tests start it on port 0 beside their own.
    """

    def __init__(
        self, world: World, loaded: Loaded, *, reload: Callable[[], Loaded], migrate: bool = False
    ) -> None:
        self.world = world
        self.store = Store(loaded.config.store)
        self.runtime = Runtime(self.store, world, loaded)
        self.port = 0
        self._reload_config = reload
        self._migrate = migrate
        self._stack = AsyncExitStack()
        self._schedule = Schedule(self._wake)
        self._delivery: Delivery | None = None
        self._senders: dict[str, asyncio.Task[None]] = {}
        self._work: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._extra: set[asyncio.Task[None]] = set()
        self._trouble = ""
        self._stopped = asyncio.Event()
        self._reloading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.store.close)
            self.store.lock()
            await schema.prepare(self.store, migrate=self._migrate, now=self.world.clock())
            stack.push_async_callback(self.runtime.close)
            self.runtime.on_closed = self._on_closed
            await self.runtime.adopt(self.runtime.loaded)
            self._taken()
            lag = asyncio.create_task(self.runtime.lag.watch(), name="loop lag")
            stack.push_async_callback(_cancel, lag)
            if self.store.is_sqlite:
                await incidents.give_back_all(self.store)  # the lock says that nobody else is sending
            stack.push_async_callback(self._stop_senders)
            await incidents.retry_failed(self.store, self.channels(), self.world.clock())
            await self._start_senders()
            self._listener = await stack.enter_async_context(serve(self))
            self.port = self._listener.port
            stack.push_async_callback(self._drain)
            await self._say_alive()
            await self._adopt_orphans(alone=self.store.is_sqlite)
            self._schedule.start()
            stack.callback(self._schedule.stop)
            self._schedule.set({key: watch.grid for key, watch in self.runtime.watches.items()})
            for key in self.runtime.watches.keys() - self._work.keys():
                await self._wake(key)
            stack.push_async_callback(self._say_goodbye)
            beat = asyncio.create_task(self._every(_BEAT_SECONDS, "beat", self._beat), name="beat")
            stack.push_async_callback(_cancel, beat)
            heart = alive.run(lambda: self.runtime.config.alerts.heartbeat, self.ready)
            pulse = asyncio.create_task(self._guarded("heartbeat", heart), name="heartbeat")
            stack.push_async_callback(_cancel, pulse)
            tidy = asyncio.create_task(self._every(3600.0, "retention", self._tidy), name="retention")
            stack.push_async_callback(_cancel, tidy)
            self._stack = stack.pop_all()
        page = self.runtime.config.web
        log.info("plumbline %s is ready on %s://%s:%d", VERSION, page.scheme, page.host, self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        log.info("stopped")

    def stop(self) -> None:
        """Asks the daemon to drain and end."""
        self._stopped.set()

    async def finished(self) -> None:
        """Waits until somebody asked it to stop."""
        await self._stopped.wait()

    async def ready(self) -> list[Check]:
        """Whether we can do our job; an endpoint's state is none of it."""
        checks = [
            Check(name="scheduler", ok=self._schedule.running, why="not started"),
            Check(name="draining", ok=not self.runtime.draining, why="the daemon is stopping"),
        ]
        try:
            current = await schema.version(self.store) == schema.HEAD
            checks.append(Check(name="schema", ok=current, why="run `plumbline db upgrade`"))
            # SQLite can be read while nothing can be written: what the last work met counts too.
            checks.append(Check(name="store", ok=not self._trouble, why=self._trouble))
        except StoreError as error:
            checks.append(Check(name="store", ok=False, why=str(error)))
        return checks

    async def reload(self) -> list[str]:
        """Takes the config file over again; says what changed.

        Raises:
            ConfigInvalid: The file is wrong; the old config stays.
            CaseFileInvalid: A case file is wrong; the old config stays.
            StoreUnavailable: The database is away; the old config stays.
        """
        async with self._reloading:
            try:
                loaded = await asyncio.to_thread(self._reload_config)
                before, watched = self.runtime.config, self.runtime.watches
                said = await self.runtime.adopt(loaded)
            except Exception:
                self.world.metrics.reload_ok.set(0)
                raise
            self._taken()
            self._listener.renew()
            self._schedule.set({key: watch.grid for key, watch in self.runtime.watches.items()})
            await self._stop_senders()
            mended = [
                name
                for name, channel in loaded.config.alerts.channels.items()
                if before.alerts.channels.get(name) != channel
            ]
            await incidents.retry_failed(self.store, mended, self.world.clock())
            await self._start_senders()
            more = [f"channel {name}: its settings changed" for name in mended]
            more += _moved(watched, self.runtime.watches)
            more += [
                f"{key} changed; this takes effect at the next start"
                for key, old, new in (
                    ("store", before.store, loaded.config.store),
                    ("web.listen", before.web.listen, loaded.config.web.listen),
                    ("web.tls", before.web.scheme, loaded.config.web.scheme),
                )
                if old != new
            ]
            for line in more:
                log.info("%s", line)
            log.info("config reloaded: %s", "; ".join(said + more) or "nothing changed")
            return said + more

    def _taken(self) -> None:
        metrics = self.world.metrics
        metrics.reload_ok.set(1)
        metrics.reload_at.set(self.world.clock().timestamp())
        metrics.config_hash.set(int(self.runtime.loaded.hash[:12], 16))
        metrics.expect(self.runtime.watches.values(), self.channels())

    def channels(self) -> list[str]:
        """The names of all channels."""
        return list(self.runtime.config.alerts.channels)

    async def _start_senders(self) -> None:
        made: dict[str, Notifier] = {
            name: self.world.plugins.notifier(channel.kind)(channel.settings)
            for name, channel in self.runtime.config.alerts.channels.items()
        }
        self._notifiers: Mapping[str, Notifier] = made
        self._delivery = Delivery(
            self.store, made, clock=self.world.clock, rng=self.world.rng, metrics=self.world.metrics
        )
        for name in made:
            self._senders[name] = asyncio.create_task(self._delivery.run(name), name=f"send {name}")

    async def _stop_senders(self) -> None:
        for task in self._senders.values():
            await _cancel(task)
        self._senders = {}
        for notifier in self._notifiers.values():
            await notifier.close()

    async def _wake(self, key: tuple[str, str]) -> None:
        """A slot may be due; its work is a task of ours, because the scheduler could not wait for it."""
        watch = self.runtime.watches.get(key)
        if watch is None or self.runtime.draining:
            return
        slot = watch.grid.slot(self.world.clock())
        task = self._work.get(key)
        if task is None or task.done():
            self._work[key] = asyncio.create_task(
                self._guarded("round", self._run(watch, slot)), name=f"round {'/'.join(key)}"
            )
        else:
            self._spawn("round", self.runtime.rounds.overlapped(watch, slot))

    async def _run(self, watch: Watch, slot: datetime) -> None:
        if watch.jitter:
            await asyncio.sleep(self.world.rng.random() * watch.jitter.total_seconds())
        late = (self.world.clock() - slot).total_seconds()
        outcome = await self.runtime.rounds.scheduled(watch, slot)
        if outcome not in ("taken", "learning", "overlapped", "late"):
            self.world.metrics.lateness.observe(max(0.0, late))

    def _on_closed(self, watch: Watch, closed: Closed) -> None:
        metrics = self.world.metrics
        if closed.claim.kind == "scheduled":
            metrics.rounds.labels(*watch.key, closed.outcome).inc()
        for judged in closed.judged:
            if judged.became_changed and judged.verdict.kind is VerdictKind.CHANGED:
                direction = judged.verdict.direction or "up"
                metrics.alarms.labels(*watch.key, judged.measure.name, direction).inc()
        for said in closed.model_changes:
            metrics.model_changes.labels(watch.endpoint, said.split()[0]).inc()
        for step in closed.changes.transitions:
            metrics.incident_transitions.labels(str(step.kind)).inc()
            weight = logging.INFO if step.kind in ("updated", "resolved") else logging.WARNING
            log.log(
                weight,
                "incident %s %s: %s %s: %s",
                step.incident.id,
                step.kind,
                step.incident.severity,
                watch.endpoint,
                step.summary,
            )
        if closed.changes.transitions and self._delivery is not None:
            self._delivery.wake()
        round_log.info("%s", round_line(watch, closed))

    async def _beat(self) -> None:
        """Says that we live, takes over what the dead left, and keeps our own gauges fresh."""
        metrics = self.world.metrics
        metrics.loop_lag.set(self.runtime.lag.latest)
        up = self.runtime.uplink.last_up
        metrics.uplink_up.set(1.0 if up is None else float(up))
        try:
            await self._say_alive()
        except StoreUnavailable:
            metrics.store_up.set(0)
            raise
        metrics.store_up.set(1)
        self._trouble = ""
        await self._adopt_orphans(alone=False)

    async def _say_alive(self) -> None:
        now, config_hash = self.world.clock(), self.runtime.loaded.hash
        async with self.store.write() as connection:
            statement = self.store.insert(replicas).values(
                id=self.runtime.replica, seen=now, version=VERSION, config_hash=config_hash
            )
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["id"], set_={"seen": now, "config_hash": config_hash}
                )
            )
            await connection.execute(delete(replicas).where(replicas.c.seen < now - _SILENT_REPLICA))

    async def _say_goodbye(self) -> None:
        with suppress(StoreUnavailable):
            async with self.store.write() as connection:
                await connection.execute(delete(replicas).where(replicas.c.id == self.runtime.replica))

    async def _adopt_orphans(self, *, alone: bool) -> None:
        for claim in await rounds.abandoned(
            self.store, replica=self.runtime.replica, alone=alone, under_way=self.runtime.under_way
        ):
            if not alone:
                self.world.metrics.claims_expired.labels("round").inc()
            watch = self.runtime.watches.get((claim.endpoint, claim.probe))
            if watch is None:
                await self.runtime.work.abandon(claim)
            elif (busy := self._work.get(watch.key)) is None or busy.done():
                self._work[watch.key] = asyncio.create_task(
                    self._guarded("round", self._resume(watch, claim)), name=f"resume {claim.id}"
                )
            else:
                self._spawn("round", self.runtime.rounds.resume(watch, claim))

    async def _resume(self, watch: Watch, claim: Claim) -> None:
        """Finishes what a dead daemon had begun, then the present slot: a capture would wait for the next one."""
        await self.runtime.rounds.resume(watch, claim)
        if not self.runtime.draining:
            await self._run(watch, watch.grid.slot(self.world.clock()))

    async def _tidy(self) -> None:
        now = self.world.clock()
        async with self.store.write() as connection:
            await schema.ensure_partitions(connection, self.store, now)
        await retention.apply(self.store, self.runtime.config.retention, now)

    async def _every(self, seconds: float, name: str, unit: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._guarded(name, unit())
            await asyncio.sleep(seconds)

    def _spawn(self, name: str, unit: Awaitable[object]) -> None:
        task = asyncio.create_task(self._guarded(name, unit), name=name)
        self._extra.add(task)
        task.add_done_callback(self._extra.discard)

    async def _guarded(self, name: str, unit: Awaitable[object]) -> None:
        """Runs one unit of background work: what it raises is logged and counted, and the daemon lives on."""
        try:
            await unit
        except Superseded as error:
            log.warning("%s: %s", name, error)
        except StoreUnavailable as error:
            self._trouble = str(error)
            self.world.metrics.background_errors.labels(name).inc()
            log.error("%s: %s", name, error)
        except Exception:
            self.world.metrics.background_errors.labels(name).inc()
            log.exception("%s failed; this is a bug", name)

    async def _drain(self) -> None:
        """Lets attempts under way end, starts no new ones, and gives unfinished rounds back."""
        self.runtime.draining = True
        tasks = [task for task in (*self._work.values(), *self._extra) if not task.done()]
        if not tasks:
            return
        log.info("draining at most %.0f s; rounds under way: %d", DRAIN_SECONDS, len(tasks))
        _, late = await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
        for task in late:
            await _cancel(task)


def _moved(before: Mapping[tuple[str, str], Watch], after: Mapping[tuple[str, str], Watch]) -> list[str]:
    """What changed in when, and how much, is asked."""
    said = []
    for key in sorted(before.keys() | after.keys()):
        name = "/".join(key)
        if key not in before:
            said.append(f"{name} is watched from now on")
        elif key in after and before[key].grid.per_day != after[key].grid.per_day:
            said.append(f"{name}: its interval changed")
        elif key in after and before[key].cases_per_round != after[key].cases_per_round:
            said.append(f"{name}: asks {after[key].cases_per_round} cases a round from now on")
    return said


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
