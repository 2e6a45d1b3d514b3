"""Everything that rounds need, built from one config: shared by the daemon and by one-shot commands."""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from alerts import Route
from monitor.asking import Asker
from monitor.assess import Assessor, Closed
from monitor.capturing import Captures
from monitor.cases import Scorers, read_all
from monitor.config.load import Loaded
from monitor.config.model import Config
from monitor.drift.detector import Detector
from monitor.ids import RowIds, new_id
from monitor.lag import LoopLag
from monitor.metrics import Metrics
from monitor.plugins import Plugins
from monitor.reconcile import reconcile, rename
from monitor.rescore import refit, rescore
from monitor.round import Rounds
from monitor.schedule import grid_of
from monitor.store import eval_sets
from monitor.store.engine import Store
from monitor.store.tables import metas
from monitor.uplink import Uplink
from monitor.watch import Watch, build
from monitor.work import Work
from probes import Case, Client
from rotation import Item, Version

log = logging.getLogger("plumbline")


@dataclass(frozen=True, kw_only=True)
class World:
    """What a process is given from outside: time, chance, plugins, and where it counts."""

    clock: Callable[[], datetime]
    rng: random.Random
    plugins: Plugins
    metrics: Metrics


class Runtime:
    """The parts that a config makes. `adopt` builds them, at start and at each reload."""

    def __init__(self, store: Store, world: World, loaded: Loaded) -> None:
        self.store = store
        self.world = world
        self.loaded = loaded
        self.replica = new_id("rep", world.clock(), world.rng)
        self.lag = LoopLag()
        self.uplink = Uplink(loaded.config.uplink.targets, world.clock)
        self.watches: Mapping[tuple[str, str], Watch] = {}
        self.draining = False
        self.under_way: set[str] = set()
        self.on_closed: Callable[[Watch, Closed], None] = lambda watch, closed: None
        self._borrowed = False
        self._row_ids = RowIds(world.rng)
        self._detectors: dict[str, Detector] = {}
        self._clients: dict[str, tuple[BaseModel, Client]] = {}
        self._clients_left: list[Client] = []

    @property
    def config(self) -> Config:
        """The config that holds now."""
        return self.loaded.config

    async def adopt(self, loaded: Loaded) -> list[str]:
        """Takes a config over, whole or not at all, and makes the store agree; says what changed, for people.

        Raises:
            CaseFileInvalid: A case file is wrong; the old config stays.
            StoreUnavailable: The database is away; the old config stays.
        """
        config, now = loaded.config, self.world.clock()
        scorers = Scorers(self.world.plugins, config.endpoints)
        cases = await asyncio.to_thread(read_all, config, scorers)
        async with self.store.write() as connection:
            said = await rename(connection, config)
            versions = {
                name: await eval_sets.sync_file(
                    connection,
                    self.store,
                    name,
                    each,
                    now=now,
                    author="config",
                    reason=f"{config.eval_sets[name].cases.name} read",
                )
                for name, each in cases.items()
            }
            key = await _split_key(connection, self.store)
            watches = _watches(config, scorers, cases, versions, key)
            notices = self._assessor(config).notices
            said += await reconcile(connection, self.store, config, watches, notices=notices, now=now)
        await self._take(loaded, watches)
        for watch in watches:
            if anew := await refit(self.store, watch, self.detector):
                said.append(
                    f"{watch.endpoint}/{watch.probe}: {', '.join(anew)} compared anew, from the kept capture"
                )
            if watch.judges:
                continue  # costs money, so that a round does it
            scored = await rescore(self.store, watch, self.detector)
            if scored:
                said.append(f"{watch.endpoint}/{watch.probe}: {scored} kept replies scored again")
        for line in said:
            log.info("%s", line)
        return said

    async def borrow(self, loaded: Loaded) -> None:
        """Builds the parts of a config without making the store agree with it.

        A command may see an edited file before the daemon was told to take it over; what follows from the
        edit is the daemon's to do.

        Raises:
            CaseFileInvalid: A case file is wrong.
            StoreUnavailable: The database is away.
        """
        self._borrowed = True
        scorers = Scorers(self.world.plugins, loaded.config.endpoints)
        cases = await asyncio.to_thread(read_all, loaded.config, scorers)
        async with self.store.write() as connection:
            key = await _split_key(connection, self.store)
            known = {name: await eval_sets.current(connection, name) for name in cases}
        versions = {name: version for name, version in known.items() if version is not None}
        await self._take(loaded, _watches(loaded.config, scorers, cases, versions, key))

    async def _take(self, loaded: Loaded, watches: Sequence[Watch]) -> None:
        self.loaded = loaded
        self.uplink.targets = tuple(loaded.config.uplink.targets)
        self.watches = {watch.key: watch for watch in watches}
        await self._connect(loaded.config)

    @property
    def work(self) -> Work:
        """Opens, asks and closes rounds under the config that holds now."""
        asker = Asker(
            store=self.store,
            clock=self.world.clock,
            row_ids=self._row_ids,
            lag=self.lag,
            metrics=self.world.metrics,
            draining=lambda: self.draining,
            judge=lambda name: (self.config.endpoints[name], self.client(name)),
            under_way=self.under_way,
        )
        return Work(
            store=self.store,
            asker=asker,
            assessor=self._assessor(self.config),
            uplink=self.uplink,
            client=self.client,
            clock=self.world.clock,
            new_id=self.new_id,
            replica=self.replica,
            config_hash=self.loaded.hash,
            closed=lambda watch, closed: self.on_closed(watch, closed),
        )

    @property
    def captures(self) -> Captures:
        """Captures baselines under the config that holds now."""
        return Captures(work=self.work, detector=self.detector, draining=lambda: self.draining)

    @property
    def rounds(self) -> Rounds:
        """Runs slots under the config that holds now."""
        captures = self.captures
        return Rounds(work=captures.work, captures=captures, missed=self._missed)

    def new_id(self, prefix: str, now: datetime) -> str:
        """A public identifier."""
        return new_id(prefix, now, self.world.rng)

    def client(self, endpoint: str) -> Client:
        """The endpoint's client."""
        return self._clients[endpoint][1]

    def detector(self, name: str) -> Detector:
        """A detector by its plugin name; made once, for it holds nothing."""
        if name not in self._detectors:
            self._detectors[name] = self.world.plugins.detector(name)()
        return self._detectors[name]

    async def close(self) -> None:
        """Lets go of every connection to endpoints."""
        async with AsyncExitStack() as stack:
            for client in (*self._clients_left, *(client for _, client in self._clients.values())):
                stack.push_async_callback(client.close)
        self._clients, self._clients_left = {}, []

    def _missed(self, watch: Watch, outcome: str, count: int) -> None:
        self.world.metrics.rounds.labels(*watch.key, outcome).inc(count)

    def _assessor(self, config: Config) -> Assessor:
        routes = [
            Route(match=each.match, channel=each.channel, mention=each.mention)
            for each in config.alerts.routes
        ]
        return Assessor(
            store=self.store,
            detector=self.detector,
            routes=routes,
            default_channel=config.alerts.default_channel,
            links=partial(_links, config.web.external_url),
            new_id=self.new_id,
            clock=self.world.clock,
            judges=not self._borrowed,
        )

    async def _connect(self, config: Config) -> None:
        """Keeps the clients whose settings did not change, so that their connections live on."""
        before, self._clients = self._clients, {}
        for name, endpoint in config.endpoints.items():
            known = before.get(name)
            if known is not None and known[0] == endpoint.settings:
                self._clients[name] = before.pop(name)
            else:
                made = self.world.plugins.client(endpoint.kind)(endpoint.settings)
                self._clients[name] = (endpoint.settings, made)
        # Requests in flight may still use these; they are closed with us.
        self._clients_left += [client for _, client in before.values()]


def _watches(
    config: Config,
    scorers: Scorers,
    cases: Mapping[str, Sequence[Case]],
    versions: Mapping[str, Version],
    split_key: bytes,
) -> tuple[Watch, ...]:
    items = {name: [Item.of(name, case, split_key) for case in each] for name, each in cases.items()}
    numbers = {name: versions[name].number if name in versions else 0 for name in cases}
    return build(config, items, numbers, scorer=scorers.of, grid=grid_of)


def _links(external_url: str | None, incident: str) -> dict[str, str]:
    return {} if external_url is None else {"status page": f"{external_url.rstrip('/')}/#{incident}"}


async def _split_key(connection: AsyncConnection, store: Store) -> bytes:
    """The key of the open/held-out split: made once per store, and never shown."""
    await connection.execute(
        store.insert(metas).values(key="split_key", value=secrets.token_hex(32)).on_conflict_do_nothing()
    )
    found = await connection.execute(select(metas.c.value).where(metas.c.key == "split_key"))
    return bytes.fromhex(found.scalar_one())
