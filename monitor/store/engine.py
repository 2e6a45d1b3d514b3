"""One database, two ways in: `read()` and `write()`. Everything else asks for one of them.

SQLite takes one writer at a time, so each process has one writing connection that opens with
BEGIN IMMEDIATE: a deferred transaction that upgrades would fail with "database is locked" at once,
whatever the busy timeout says.
"""

import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import orjson
from sqlalchemy import (
    URL,
    ColumnElement,
    FromClause,
    Table,
    event,
    func,
    literal_column,
    make_url,
    text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from monitor.store.errors import StoreInUse, StoreUnavailable
from monitor.store.types import UtcDateTime

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}

#: What PostgreSQL says when it is away or busy, by SQLSTATE: connection, login, no such database, rolled back
#: for another's sake (deadlock), no resources, stopped by its operator, system; and a standby, which only reads.
_AWAY = ("08", "28", "3D", "40", "53", "57", "58", "25006", "55000")
#: A file that is no database, or no longer one; what SQLite calls an "operational error" otherwise includes
#: plain SQL mistakes, which are ours and must not look like an outage.
_BROKEN_FILE = frozenset({"SQLITE_NOTADB", "SQLITE_CORRUPT"})
_SQL_MISTAKE = "SQLITE_ERROR"
#: A replica that hangs, or whose machine is gone, must not hold its locks for ever.
_IDLE_IN_TRANSACTION = "60s"

_T = TypeVar("_T")

#: julianday() holds the time to about 0.05 ms, which is plenty for leases.
_SQLITE_NOW = "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"


def _dumps(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


class Store:
    """A database under a URL such as `sqlite:///plumbline.db` or `postgresql://user@host/db`."""

    def __init__(self, url: str) -> None:
        """Prepares the engines; nothing is opened yet.

        Raises:
            StoreUnavailable: The URL is of no database we know.
        """
        parsed = _parsed(url)
        name = parsed.get_backend_name()
        self.is_sqlite = name == "sqlite"
        self.path = Path(parsed.database) if self.is_sqlite and parsed.database else None
        target = parsed.set(drivername=_DRIVERS[name])
        options: dict[str, Any] = {
            "json_serializer": _dumps,
            "json_deserializer": orjson.loads,
            "hide_parameters": True,
        }
        if self.is_sqlite:
            self._writer = create_async_engine(
                target, pool_size=1, max_overflow=0, pool_timeout=30, **options
            )
            self._reader = create_async_engine(target, pool_size=4, **options)
            _prepare_sqlite(self._writer, begin="BEGIN IMMEDIATE")
            _prepare_sqlite(self._reader, begin="BEGIN")
        else:
            self._writer = self._reader = create_async_engine(
                target,
                pool_size=8,
                pool_pre_ping=True,
                pool_timeout=30,
                connect_args={"timeout": 5},
                **options,
            )
            _prepare_postgresql(self._writer)
        self._lock: IO[str] | None = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for looking; what it does is rolled back.

        Raises:
            StoreUnavailable: The database cannot be reached.
        """
        with _translated():
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed when the block ends, rolled back when it raises.

        Raises:
            StoreUnavailable: The database cannot be reached, or stays busy.
        """
        with _translated():
            async with self._writer.begin() as connection:
                yield connection

    def now(self) -> ColumnElement[datetime]:
        """The database's own clock, for leases: replicas may disagree about the time, it does not."""
        if self.is_sqlite:
            return type_coerce(literal_column(_SQLITE_NOW), UtcDateTime())
        return type_coerce(func.clock_timestamp(), UtcDateTime())

    def now_plus(self, span: timedelta) -> ColumnElement[datetime]:
        """The database's clock, `span` from now."""
        if self.is_sqlite:
            micros = span // timedelta(microseconds=1)
            return type_coerce(literal_column(f"{_SQLITE_NOW} + {micros}"), UtcDateTime())
        return type_coerce(func.clock_timestamp() + span, UtcDateTime())

    def insert(self, table: FromClause) -> Any:
        """An INSERT that knows ON CONFLICT; both databases spell it alike, SQLAlchemy types them apart."""
        return sqlite_insert(cast(Table, table)) if self.is_sqlite else pg_insert(cast(Table, table))

    def lock(self) -> None:
        """Makes this process the only daemon on a SQLite file; the kernel frees it however we end.

        Raises:
            StoreInUse: Another daemon holds it.
            StoreUnavailable: The lock file cannot be made.
        """
        if self.path is None:
            return
        with _translated():
            handle = open(f"{self.path}.lock", "a+", encoding="utf-8")  # noqa: SIM115 - held until close()
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            handle.close()
            raise StoreInUse(
                f"another plumbline (pid {owner}) runs on {self.path}; stop it, "
                "or use postgresql:// to run more than one"
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        self._lock = handle

    async def close(self) -> None:
        """Closes every connection and lets go of the lock."""
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Not even the error is quoted: a URL may hold a password.
        raise StoreUnavailable("store: no database URL; use sqlite:///FILE or postgresql://…") from None
    name = parsed.get_backend_name()
    if name not in _DRIVERS:
        raise StoreUnavailable(f"store: {name!r} is not known; use sqlite:///FILE or postgresql://…")
    if name == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreUnavailable("store: SQLite in memory would forget everything; use sqlite:///FILE")
    return parsed


async def exclusive(connection: AsyncConnection, what: str) -> None:
    """Lets one transaction at a time do a named thing, over all replicas, until it ends.

    SQLite takes one writer at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))"), {"what": f"plumbline {what}"}
        )


def slices(values: Iterable[_T], size: int = 500) -> Iterator[list[_T]]:
    """Cuts values for IN (...): databases limit the parameters of a statement, old SQLite to 999."""
    every = list(values)
    return (every[start : start + size] for start in range(0, len(every), size))


def _prepare_postgresql(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _settings(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_IN_TRANSACTION}'")
        cursor.close()
        connection.commit()


def _prepare_sqlite(engine: AsyncEngine, begin: str) -> None:
    @event.listens_for(engine.sync_engine, "do_connect")
    def _can_be_opened(_dialect: Any, _record: Any, arguments: Sequence[Any], _options: Any) -> None:
        # aiosqlite opens it in a thread that outlives a failure and then speaks to a loop that is gone.
        sqlite3.connect(arguments[0]).close()

    @event.listens_for(engine.sync_engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are ours, see the listener below
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)


class _translated:
    """Turns what the drivers raise when the database is away into our own error."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        away = _is_away(error) if isinstance(error, DBAPIError) else isinstance(error, PoolTimeout | OSError)
        if error is not None and away:
            raise StoreUnavailable(f"the store does not answer: {_first_line(error)}") from error


def _is_away(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_AWAY)
    name = getattr(error.orig, "sqlite_errorname", None)
    if isinstance(error, OperationalError | InterfaceError):
        return name != _SQL_MISTAKE
    return error.connection_invalidated or name in _BROKEN_FILE


def _first_line(error: BaseException) -> str:
    if isinstance(error, PoolTimeout):
        return "other work has held every connection for too long"
    text = str(getattr(error, "orig", None) or error)
    return (text.splitlines() or [type(error).__name__])[0][:200]
