"""What the acceptance tests share: one launcher a worker, and a host that leaves no daemon behind."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.acceptance.daemons import Host, Launcher


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    """The process that has imported the daemon."""
    process = Launcher()
    try:
        yield process
    finally:
        process.close()


@pytest.fixture
async def host(launcher: Launcher, tmp_path: Path) -> AsyncIterator[Host]:
    """Starts daemons, and kills those that a test leaves."""
    loop = asyncio.get_running_loop()
    loop.add_reader(launcher, launcher.hear)
    mine = Host(launcher, tmp_path)
    try:
        yield mine
    finally:
        for life in mine.lives:
            life.signal(signal.SIGKILL)
        for life in mine.lives:
            await life.ended()
        loop.remove_reader(launcher)
