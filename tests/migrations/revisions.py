"""Our revisions, any of them on any store, and rows for whatever tables it has."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from monitor.store import schema
from monitor.store.engine import Store

_FOLDER = Path(__file__).resolve().parents[2] / "migrations"
_MONTH = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
#: What stands in a column of that type in row `n`; types of SQLite's JSON and times come back as they are stored.
_VALUES: tuple[tuple[type[Any], Any], ...] = (
    (sa.Boolean, lambda n: n % 2 == 0),
    (sa.Integer, lambda n: 1_772_000_000_000 + n if n else 1),
    (sa.Float, lambda n: n + 0.1),
    (sa.Date, lambda n: date(2026, 3, 1 + n)),
    (sa.DateTime, lambda n: _MONTH + timedelta(hours=n)),
    (sa.JSON, lambda n: {"ü": [n, None]}),
    (sa.LargeBinary, lambda n: bytes([n, 0, 255])),
    (sa.String, lambda n: f"ü {n}"),
)


def config(connection: Connection | None = None) -> Config:
    """Alembic's settings, on a connection."""
    made = Config()
    made.set_main_option("script_location", str(_FOLDER))
    made.attributes["connection"] = connection
    return made


def scripts() -> ScriptDirectory:
    """The scripts in `migrations/`."""
    return ScriptDirectory.from_config(config())


def before_head() -> list[str]:
    """Every revision that a store in the field may have, oldest first."""
    return sorted(script.revision for script in scripts().walk_revisions() if script.revision != schema.HEAD)


async def migrate(store: Store, revision: str) -> None:
    """Brings an empty store to a revision."""
    async with store.write() as connection:
        await connection.run_sync(lambda sync: command.upgrade(config(sync), revision))
        await schema.ensure_partitions(connection, store, _MONTH)


def reflected(connection: Connection) -> dict[str, sa.Table]:
    """Our tables as the database has them; partitions are not among them."""
    metadata = sa.MetaData()
    metadata.reflect(connection)
    return {
        name: table
        for name, table in metadata.tables.items()
        if not name.startswith("result_") and name != "alembic_version"
    }


async def fill(store: Store, rows: int) -> dict[str, list[dict[str, Any]]]:
    """Puts rows into every table; returns them."""

    def put(connection: Connection) -> dict[str, list[dict[str, Any]]]:
        filled = {}
        for name, table in reflected(connection).items():
            filled[name] = [
                {column.name: _value(table, column, n) for column in table.columns} for n in range(rows)
            ]
            connection.execute(table.insert(), filled[name])
        return filled

    async with store.write() as connection:
        return await connection.run_sync(put)


def _value(table: sa.Table, column: sa.Column[Any], n: int) -> Any:
    if isinstance(column.type, sa.BigInteger | sa.Integer) and not isinstance(column.type, sa.BigInteger):
        return n + 1
    for kind, value in _VALUES:
        if isinstance(column.type, kind):
            return value(n)
    raise AssertionError(f"no value for {table.name}.{column.name}, a {column.type!r}")


async def rows(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""

    def get(connection: Connection) -> dict[str, list[dict[str, Any]]]:
        return {
            name: [dict(row._mapping) for row in connection.execute(table.select())]
            for name, table in reflected(connection).items()
        }

    async with store.read() as connection:
        return await connection.run_sync(get)
