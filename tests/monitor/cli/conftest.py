"""A site on disk, an endpoint to ask, and a way to run a command as a terminal does."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from monitor.cli import main
from tests.fakes.llm import FakeLLM
from tests.site import Site, answers


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as a value."""
        return json.loads(self.out)


Command = Callable[..., Ended]
Fake = TypeVar("Fake", bound=AbstractAsyncContextManager[Any])


async def _entered(fake: AbstractAsyncContextManager[Any]) -> None:
    await fake.__aenter__()


async def _left(fake: AbstractAsyncContextManager[Any]) -> None:
    await fake.__aexit__(None, None, None)


@contextmanager
def on_a_thread(fake: Fake) -> Iterator[Fake]:
    """Runs a fake on a thread of its own: commands need the main one, for that is where signals come."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(_entered(fake), loop).result()
        yield fake
    finally:
        asyncio.run_coroutine_threadsafe(_left(fake), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def fake() -> Iterator[FakeLLM]:
    """An endpoint that is always right."""
    with on_a_thread(FakeLLM(answers=answers())) as fake:
        yield fake


@pytest.fixture
def site(tmp_path: Path, fake: FakeLLM) -> Site:
    """A site that watches the fake, with a store of its own."""
    made = Site(tmp_path, f"sqlite:///{tmp_path}/plumbline.db", fake.url)
    made.write()
    return made


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process."""

    def run(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def plumbline(command: Command, site: Site) -> Command:
    """Runs a command on the site."""

    def run(*arguments: object) -> Ended:
        return command(*arguments, "-c", site.path)

    return run
