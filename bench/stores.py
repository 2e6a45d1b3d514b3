"""Empty stores for a benchmark: a SQLite file, and a PostgreSQL database where a server is found."""

import asyncio
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg  # it ships no types
from sqlalchemy import make_url

_SERVER = "postgresql:///postgres?host=/var/run/postgresql"


def _server() -> str:
    return os.environ.get("PLUMBLINE_TEST_POSTGRES", _SERVER)


async def _execute(statement: str) -> None:
    connection = await asyncpg.connect(_server(), timeout=3)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def kinds() -> list[str]:
    """The databases that can be measured here."""
    try:
        asyncio.run(_execute("SELECT 1"))
    except (OSError, asyncpg.PostgresError):
        return ["sqlite"]
    return ["sqlite", "postgresql"]


@contextmanager
def empty(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty store; it is gone after the block."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/plumbline.db"
        return
    name = f"plumbline_bench_{uuid.uuid4().hex[:12]}"
    asyncio.run(_execute(f"CREATE DATABASE {name}"))
    try:
        yield make_url(_server()).set(database=name).render_as_string(hide_password=False)
    finally:
        asyncio.run(_execute(f"DROP DATABASE {name} WITH (FORCE)"))
