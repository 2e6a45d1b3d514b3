"""The schema's age: is it ours, is it current, and how it becomes so.

SQLite is migrated at start, after a copy of the file. PostgreSQL is shared, so `run` refuses an older
schema and names the command, unless `--migrate` asks for it; an advisory lock lets one replica do it.
"""

import asyncio
import re
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.engine import Store, exclusive
from monitor.store.errors import SchemaOutdated, SchemaUnknown, StoreUnavailable
from monitor.store.tables import metadata

#: The newest migration. Kept here so that a start needs no alembic; a test holds it to the scripts.
HEAD = "0004"

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
        if strange := sorted(metadata.tables.keys() & set(tables)):
            raise SchemaUnknown(
                f"the store has a table `{strange[0]}` that Plumbline did not make; use another database"
            )
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    if row is None:
        return None
    if not re.fullmatch(r"[0-9]{4}", row[0]):
        raise SchemaUnknown(f"the store belongs to another program (revision {row[0]}); use another database")
    return str(row[0])


async def require_current(store: Store) -> None:
    """Passes where the schema is current.

    Raises:
        SchemaOutdated: It is older; the message names the command.
        SchemaUnknown: It is newer than this program.
    """
    found = await version(store)
    if found == HEAD:
        return
    _refuse_newer(found)
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
    if await version(store) == HEAD:
        return False
    async with store.write() as connection:
        await exclusive(connection, "upgrade")
        found = await connection.run_sync(_version)  # again: another replica may have been faster
        if found == HEAD:
            return False
        _refuse_newer(found)
        if found is not None and store.path is not None:
            copy = store.path.with_name(f"{store.path.name}.before-{HEAD}-{now:%Y%m%dT%H%M%SZ}")
            await asyncio.to_thread(_copy, store.path, copy)
        await connection.run_sync(_upgrade)
    return True


def _refuse_newer(found: str | None) -> None:
    if found is not None and found > HEAD:
        raise SchemaUnknown(
            f"the store's schema is {found}, newer than this program's {HEAD}; upgrade plumbline"
        )


def _copy(path: Path, copy: Path) -> None:
    """Copies a whole SQLite database; a plain copy of the file would miss what is still in its WAL."""
    try:
        copy.touch(mode=0o600)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        shutil.copymode(path, copy)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(
            f"{path} could not be copied to {copy.name} before its upgrade, so it was left alone: {error}"
        ) from error


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
    wanted = {f"result_{month(now, ahead):%Y_%m}": ahead for ahead in range(3)}
    known = await connection.execute(
        text(
            "SELECT relname FROM pg_class JOIN pg_inherits ON oid = inhrelid WHERE inhparent = 'result'::regclass"
        )
    )
    missing = wanted.keys() - set(known.scalars())
    if missing:
        # IF NOT EXISTS alone fails where two replicas do it at once.
        await exclusive(connection, "partitions")
    for name in sorted(missing):
        first, after = month(now, wanted[name]), month(now, wanted[name] + 1)
        await connection.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF result "
                f"FOR VALUES FROM ('{first:%Y-%m-%d}+00') TO ('{after:%Y-%m-%d}+00')"
            )
        )


def month(now: datetime, ahead: int = 0) -> datetime:
    """The first instant of the month that is `ahead` months after `now`'s."""
    index = now.year * 12 + now.month - 1 + ahead
    return now.replace(
        year=index // 12, month=index % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0
    )
