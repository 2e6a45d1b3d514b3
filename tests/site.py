"""A site to watch: a config on disk, and the parts of the daemon built from it."""

import json
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry

from monitor.assess import Closed
from monitor.config.load import Loaded, load
from monitor.metrics import Metrics
from monitor.plugins import Plugins
from monitor.runtime import Runtime, World
from monitor.store import schema
from monitor.store.engine import Store
from monitor.store.tables import metas
from monitor.watch import Watch


def cases(count: int = 20, **fields: Any) -> list[dict[str, Any]]:
    """Cases `q0 -> a0`, `q1 -> a1`, ..."""
    return [{"id": f"c{n}", "prompt": f"q{n}", "target": f"a{n}", **fields} for n in range(count)]


def answers(count: int = 20) -> dict[str, str]:
    """What a fake endpoint must say to be right."""
    return {f"q{n}": f"a{n}" for n in range(count)}


class Site:
    """The files of one installation: `site.write(...)` changes them as a person would."""

    def __init__(self, folder: Path, store_url: str, llm_url: str) -> None:
        self.folder = folder
        self.path = folder / "plumbline.yaml"
        self.config: dict[str, Any] = {
            "store": store_url,
            "web": {"listen": "127.0.0.1:0"},
            "endpoints": {"bot": {"kind": "openai", "url": llm_url, "model": "m-1", "timeout": "5s"}},
            "eval_sets": {"basics": {"cases": "cases.jsonl", "scorers": ["exact"]}},
            "probes": {
                "quality": {
                    "endpoint": "bot",
                    "eval_sets": ["basics"],
                    "every": "15m",
                    "cases_per_round": 10,
                }
            },
            "baseline": {"auto_accept": True},
        }
        self.cases: Sequence[Mapping[str, Any]] = cases()

    def write(self) -> None:
        """Puts the config and its cases on disk."""
        self.path.write_text(yaml.safe_dump(self.config, sort_keys=False))
        lines = "\n".join(json.dumps(case) for case in self.cases)
        (self.folder / "cases.jsonl").write_text(lines + "\n")

    def load(self) -> Loaded:
        """The config as it stands on disk."""
        return load(self.path, {})


def world(clock: Callable[[], datetime], seed: int = 1) -> World:
    """A world of its own: its metrics are not shared with another test."""
    return World(
        clock=clock,
        rng=random.Random(seed),
        plugins=Plugins(),
        metrics=Metrics(CollectorRegistry(), version="test"),
    )


class Bench:
    """The walk without the daemon around it: rounds are run one by one on a fake clock."""

    def __init__(self, site: Site, store: Store, runtime: Runtime) -> None:
        self.site = site
        self.store = store
        self.runtime = runtime
        self.closed: list[Closed] = []
        runtime.on_closed = lambda watch, closed: self.closed.append(closed)

    @property
    def watch(self) -> Watch:
        """The site's only watch."""
        (watch,) = self.runtime.watches.values()
        return watch

    async def reload(self) -> list[str]:
        """Takes over what is on disk now."""
        self.site.write()
        return await self.runtime.adopt(self.site.load())

    async def capture(self) -> None:
        """Captures a baseline."""
        await self.runtime.captures.capture(self.watch, author="test", reason="test")

    async def run(self, clock: Any, rounds: int = 1) -> list[str]:
        """Runs the next slots, moving the clock to each; says how they ended."""
        ends = []
        for _ in range(rounds):
            clock.now = self.watch.grid.after(clock.now)
            ends.append(await self.runtime.rounds.scheduled(self.watch, clock.now))
        return ends


@asynccontextmanager
async def bench(site: Site, clock: Callable[[], datetime], seed: int = 1) -> AsyncIterator[Bench]:
    """A store and a runtime built from a site."""
    site.write()
    loaded = site.load()
    store = Store(loaded.config.store)
    await schema.prepare(store, migrate=True, now=clock())
    async with store.write() as connection:  # a random key would hold out other cases in every run
        key = store.insert(metas).values(key="split_key", value="00" * 32)
        await connection.execute(key.on_conflict_do_nothing())
    runtime = Runtime(store, world(clock, seed), loaded)
    try:
        await runtime.adopt(loaded)
        yield Bench(site, store, runtime)
    finally:
        await runtime.close()
        await store.close()


@asynccontextmanager
async def daemon(site: Site, clock: Callable[[], datetime], seed: int = 1) -> AsyncIterator[Any]:
    """The whole daemon, on a free port."""
    from monitor.app import App

    site.write()
    async with App(world(clock, seed), site.load(), reload=site.load) as app:
        yield app
