"""Two replicas on one database; and one PostgreSQL for all tests here, because making one takes a while."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import make_url

from monitor.store.engine import Store
from monitor.store.tables import metadata

_EMPTY = "; ".join(
    [*(f'DELETE FROM "{name}"' for name in metadata.tables), "ALTER SEQUENCE stream_id_seq RESTART"]
)


async def _sql(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="package")
def shared_postgres(postgres_template: tuple[str, str]) -> Iterator[str]:
    """The URL of a PostgreSQL store with a current schema."""
    server, template = postgres_template
    name = f"plumbline_{uuid4().hex[:12]}"
    asyncio.run(_sql(server, f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    asyncio.run(_sql(server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def postgres_url(shared_postgres: str) -> str:
    """The URL of an empty PostgreSQL store with a current schema."""
    asyncio.run(_sql(shared_postgres, _EMPTY))
    return shared_postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, once on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/plumbline.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def pair(store: Store, store_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """Two stores on one database, as two processes have them."""
    other = Store(store_url)
    yield store, other
    await other.close()
