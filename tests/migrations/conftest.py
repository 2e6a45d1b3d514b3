"""Empty databases: what a migration starts from."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import make_url

from monitor.store.engine import Store


async def _sql(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="package")
def bare_postgres(postgres_template: tuple[str, str]) -> Iterator[str]:
    """The URL of a PostgreSQL database of our own; making one for each test would take most of the time."""
    server, _ = postgres_template
    name = f"plumbline_{uuid4().hex[:12]}"
    asyncio.run(_sql(server, f"CREATE DATABASE {name}"))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    asyncio.run(_sql(server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def empty_postgres(bare_postgres: str) -> str:
    """The URL of a PostgreSQL database without tables."""
    asyncio.run(_sql(bare_postgres, "DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
    return bare_postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables, once on each."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/plumbline.db"
    url: str = request.getfixturevalue("empty_postgres")
    return url


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[Store]:
    """An open store without tables."""
    store = Store(empty_url)
    yield store
    await store.close()
