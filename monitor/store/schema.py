"""The schema's age: is it ours, is it current, and how it becomes so.

SQLite is migrated at start, after a copy of the file. PostgreSQL is shared, so `run` refuses an older
schema and names the command, unless `--migrate` asks for it; an advisory lock lets one replica do it.
"""

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.engine import Store
from monitor.store.errors import SchemaOutdated, SchemaUnknown

#: The newest migration. Kept here so that a start needs no alembic; a test holds it to the scripts.
HEAD = "0002"

_ADVISORY_LOCK = 0x706C756D62  # "plumb"
_SOURCE = Path(__file__).resolve().parents[2] / "migrations"
_INSTALLED = Path(__file__).resolve().parents[1] / "migrations"


async def version(store: Store) -> str | None:
    """The schema's revision; None where there are no tables of ours.

    Raises:
        SchemaUnknown: There are tables, but not ours.
    """
    async with store.read() as connection:
        return await connection.run_sync(_version)


def _version(connection: Connection) -> str | None:
    tables = inspect(connection).get_table_names()
    if "alembic_version" not in tables:
        if "result" in tables:
            raise SchemaUnknown(
                "the store has a table `result` that Plumbline did not make; use another database"
            )
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])


async def require_current(store: Store) -> None:
    """Passes where the schema is current.

    Raises:
        SchemaOutdated: It is older; the message names the command.
        SchemaUnknown: It is newer than this program.
    """
    found = await version(store)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise SchemaUnknown(
            f"the store's schema is {found}, newer than this program's {HEAD}; upgrade plumbline"
        )
    shown = found or "empty"
    raise SchemaOutdated(
        f"the store's schema is {shown}, this program needs {HEAD}; run `plumbline db upgrade`"
    )


async def prepare(store: Store, *, migrate: bool, now: datetime) -> None:
    """Makes the store ready for a daemon or a command.

    Raises:
        SchemaOutdated: PostgreSQL is behind and `migrate` was not asked for.
        SchemaUnknown: The schema is newer than this program, or not ours.
    """
    if store.is_sqlite or migrate:
        await upgrade(store, now)
    else:
        await require_current(store)
    async with store.write() as connection:
        await ensure_partitions(connection, store, now)


async def upgrade(store: Store, now: datetime) -> bool:
    """Brings the schema up to date; says whether there was anything to do.

    Raises:
        SchemaUnknown: The schema is newer than this program, or not ours.
    """
    found = await version(store)
    if found == HEAD:
        return False
    if found is not None and found > HEAD:
        await require_current(store)
    if found is not None and store.path is not None:
        copy = store.path.with_name(f"{store.path.name}.before-{HEAD}-{now:%Y%m%dT%H%M%SZ}")
        async with store.write() as connection:
            await connection.exec_driver_sql("SELECT 1")  # waits for writers; the file is whole while we copy
            shutil.copy2(store.path, copy)
    async with store.write() as connection:
        if not store.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        await connection.run_sync(_upgrade)
    return True


def _upgrade(connection: Connection) -> None:
    # Alembic takes a third of a second to import and most starts need none of it.
    from alembic import command

    command.upgrade(_alembic(connection), "head")


def _alembic(connection: Connection) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_INSTALLED if _INSTALLED.is_dir() else _SOURCE))
    config.attributes["connection"] = connection
    return config


async def ensure_partitions(connection: AsyncConnection, store: Store, now: datetime) -> None:
    """Makes the monthly partitions of this month and the next two (PostgreSQL only)."""
    if store.is_sqlite:
        return
    for ahead in range(3):
        first, after = month(now, ahead), month(now, ahead + 1)
        await connection.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS result_{first:%Y_%m} PARTITION OF result "
                f"FOR VALUES FROM ('{first:%Y-%m-%d}+00') TO ('{after:%Y-%m-%d}+00')"
            )
        )


def month(now: datetime, ahead: int = 0) -> datetime:
    """The first instant of the month that is `ahead` months after `now`'s."""
    index = now.year * 12 + now.month - 1 + ahead
    return now.replace(
        year=index // 12, month=index % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0
    )
