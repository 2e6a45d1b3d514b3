"""Opens what a command works on, and closes it: the config, the store, the parts that ask endpoints."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from monitor.cli.ending import Code, Refused
from monitor.cli.show import say
from monitor.config.load import Loaded, load
from monitor.config.model import Config
from monitor.config.problem import choose
from monitor.metrics import Metrics
from monitor.plugins import Plugins
from monitor.runtime import Runtime, World
from monitor.store import rounds, schema
from monitor.store.engine import Store
from monitor.version import VERSION
from monitor.watch import Watch


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def world() -> World:
    """The real one: the system's clock and chance, and the plugins that are installed."""
    return World(
        clock=now,
        rng=random.SystemRandom(),
        plugins=Plugins(),
        metrics=Metrics(CollectorRegistry(), version=VERSION),
    )


def read_config(path: Path, *, secrets: bool = True) -> Loaded:
    """The config, with the environment's variables.

    Args:
        path: The file.
        secrets: Whether its secrets are needed. Who only looks at the store at night may not have them, so
            without, a variable that is not set stands for itself.

    Raises:
        ConfigInvalid: Carries every problem.
    """
    return load(path, os.environ if secrets else _Lenient(os.environ))


class _Lenient(dict[str, str]):
    """An environment in which every variable is set; a default in the file still wins."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return f"${name} is not set in this shell"


@asynccontextmanager
async def open_store(config: Config) -> AsyncIterator[Store]:
    """The store, with a current schema.

    Raises:
        StoreError: See its tree.
    """
    store = Store(config.store)
    try:
        await schema.prepare(store, migrate=False, now=now())
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def open_runtime(loaded: Loaded) -> AsyncIterator[Runtime]:
    """All that is needed to ask endpoints, under this config.

    Raises:
        CaseFileInvalid: Carries every problem of the case files.
        StoreError: See its tree.
    """
    async with open_store(loaded.config) as store:
        runtime = Runtime(store, world(), loaded)
        lag = asyncio.create_task(runtime.lag.watch(), name="loop lag")
        try:
            await runtime.borrow(loaded)
            yield runtime
        finally:
            lag.cancel()
            await runtime.close()


@contextmanager
def interruptible(runtime: Runtime) -> Iterator[None]:
    """The first Ctrl-C lets requests under way end, and stops; a second one ends the process at once."""

    def stop() -> None:
        if runtime.draining:
            os._exit(128 + signal.SIGINT)
        runtime.draining = True
        say("stopping: requests under way may end; Ctrl-C again ends at once", errors=True)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def pairs_of(config: Config, probe: str, endpoint: str | None) -> list[tuple[str, str]]:
    """The (endpoint, probe) pairs that are meant.

    Raises:
        Refused: There is no such probe, or it does not watch that endpoint.
    """
    if probe not in config.probes:
        raise Refused(f"no probe is called '{probe}'; {choose(probe, config.probes)}", Code.USAGE)
    endpoints = config.probes[probe].endpoints_of(config)
    if endpoint is None:
        return [(name, probe) for name in endpoints]
    if endpoint not in endpoints:
        cure = choose(endpoint, endpoints)
        raise Refused(f"probe '{probe}' does not watch an endpoint '{endpoint}'; {cure}", Code.USAGE)
    return [(endpoint, probe)]


def pair_of(config: Config, probe: str, endpoint: str | None) -> tuple[str, str]:
    """The one (endpoint, probe) that is meant.

    Raises:
        Refused: There is none, or there are several.
    """
    pairs = pairs_of(config, probe, endpoint)
    if len(pairs) != 1:
        names = ", ".join(name for name, _ in pairs)
        raise Refused(f"probe '{probe}' watches {names}; choose one with --endpoint", Code.USAGE)
    return pairs[0]


async def finish_left_open(runtime: Runtime, watch: Watch) -> None:
    """Finishes a round of this watch that somebody left open, as a daemon does at its start.

    A command that was interrupted leaves one, and with one open no other can begin.
    """
    for claim in await rounds.abandoned(runtime.store, replica=runtime.replica, only=watch.key):
        await runtime.rounds.resume(watch, claim)
