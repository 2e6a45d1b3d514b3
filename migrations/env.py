"""Alembic's way in. The program hands over its connection; a developer sets PLUMBLINE_STORE."""

import asyncio
import os
from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.sql.sqltypes import AutoString

from monitor.store.tables import metadata
from monitor.store.types import Json, UtcDateTime


def _ours(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    """Monthly partitions are made by the daemon, not by migrations."""
    return not (kind == "table" and (name or "").startswith("result_"))


def _render(kind: str, item: object, context: AutogenContext) -> str | Literal[False]:
    """Writes our own column types by name, and SQLModel's string type as SQLAlchemy's."""
    if kind != "type":
        return False
    if isinstance(item, UtcDateTime) or item is Json:
        context.imports.add("from monitor.store.types import Json, UtcDateTime")
        return "Json" if item is Json else "UtcDateTime()"
    return "sa.String()" if isinstance(item, AutoString) else False


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        include_object=_ours,
        render_item=_render,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _connect() -> None:
    engine = create_async_engine(os.environ["PLUMBLINE_STORE"])
    async with engine.begin() as connection:
        await connection.run_sync(_run)
    await engine.dispose()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    asyncio.run(_connect())
