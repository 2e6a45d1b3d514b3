"""The port of a small installation on SQLite, and what a test may need beside it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.web.served import Port, served
from tests.site import Bench, Site, answers, bench


@pytest.fixture
async def llm() -> AsyncIterator[FakeLLM]:
    """An endpoint that knows every answer."""
    async with FakeLLM(answers=answers()) as fake:
        yield fake


@pytest.fixture
def site(tmp_path: Path, llm: FakeLLM) -> Site:
    """The files of the installation, not yet on disk."""
    return Site(tmp_path, f"sqlite:///{tmp_path}/plumbline.db", llm.url)


@pytest.fixture
async def it(site: Site, clock: Clock) -> AsyncIterator[Bench]:
    """Its store and runtime."""
    async with bench(site, clock) as made:
        yield made


@pytest.fixture
async def port(it: Bench) -> AsyncIterator[Port]:
    """Its port."""
    async with served(it) as made:
        yield made
