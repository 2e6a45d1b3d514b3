"""What every test may ask for: a clock that stands still, and a store on each database."""

import asyncio
import logging
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from monitor.store import schema
from monitor.store.engine import Store

_POSTGRES = ("PLUMBLINE_TEST_POSTGRES", "postgresql:///postgres?host=/var/run/postgresql")
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Clock:
    """Time that moves when a test says so; each look costs a microsecond, as no two looks are simultaneous."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def advance(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Undoes what a command that was run in this process made of the log."""
    handlers, level = logging.root.handlers[:], logging.getLogger("plumbline").level
    yield
    logging.captureWarnings(False)
    logging.root.handlers[:] = handlers
    logging.getLogger("plumbline").setLevel(level)


async def _sql(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _with_database(url: str, name: str) -> str:
    head, _, query = url.partition("?")
    return head.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[tuple[str, str]]:
    """A migrated database that tests copy: (URL of the server, name of the template)."""
    url = os.environ.get(*_POSTGRES)
    name = f"plumbline_{uuid.uuid4().hex[:12]}"
    try:
        asyncio.run(_sql(url, f"CREATE DATABASE {name}"))
    except (OSError, asyncpg.PostgresError) as error:
        reason = f"no PostgreSQL at {url} ({type(error).__name__}); set PLUMBLINE_TEST_POSTGRES"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    async def migrate() -> None:
        store = Store(_with_database(url, name))
        # Partitions for the fake clock's months and for the real ones.
        for now in (START, datetime.now(UTC)):
            await schema.prepare(store, migrate=True, now=now)
        await store.close()

    asyncio.run(migrate())
    yield url, name
    asyncio.run(_sql(url, f"DROP DATABASE {name}"))


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store with a current schema, once on each database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/plumbline.db"
        return
    yield from _postgres_copy(request)


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty PostgreSQL store with a current schema."""
    yield from _postgres_copy(request)


def _postgres_copy(request: pytest.FixtureRequest) -> Iterator[str]:
    server, template = request.getfixturevalue("postgres_template")
    name = f"plumbline_{uuid.uuid4().hex[:12]}"
    asyncio.run(_sql(server, f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield _with_database(server, name)
    asyncio.run(_sql(server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def store(store_url: str, clock: Clock) -> AsyncIterator[Store]:
    """An open store with a current schema, once on each database."""
    opened = Store(store_url)
    await schema.prepare(opened, migrate=True, now=clock())
    yield opened
    await opened.close()
