"""The models and what the migrations make are the same thing."""

import re
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from monitor.store import schema
from monitor.store.engine import Store
from monitor.store.tables import metadata
from tests.conftest import START
from tests.migrations.revisions import scripts

_INDEXES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' "
    r"AND tablename NOT LIKE 'result\_%'",
}


def _differences(connection: Connection) -> list[Any]:
    def ours(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        return not (kind == "table" and (name or "").startswith("result_"))

    options = {"include_object": ours, "compare_type": True, "compare_server_default": True}
    found: list[Any] = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    return found


async def _indexes(store: Store) -> dict[str, str]:
    async with store.read() as connection:
        found = await connection.execute(text(_INDEXES["sqlite" if store.is_sqlite else "postgresql"]))
        return {name: re.sub(r"\s+", " ", sql) for name, sql in found if name != "alembic_version_pkc"}


def test_the_program_knows_its_newest_migration_and_there_is_one_line_of_them() -> None:
    assert scripts().get_heads() == [schema.HEAD]
    numbers = sorted(script.revision for script in scripts().walk_revisions())
    assert numbers == [f"{n:04}" for n in range(1, len(numbers) + 1)]


async def test_migrations_make_the_tables_of_the_models(empty: Store) -> None:
    await schema.upgrade(empty, START)
    async with empty.read() as connection:
        assert await connection.run_sync(_differences) == []


async def test_migrations_make_the_indexes_of_the_models_with_their_conditions(empty: Store) -> None:
    async with empty.write() as connection:
        await connection.run_sync(metadata.create_all)
    wanted = await _indexes(empty)
    async with empty.write() as connection:
        await connection.run_sync(metadata.drop_all)
    await schema.upgrade(empty, START)
    assert await _indexes(empty) == wanted
    assert "WHERE" in wanted["round_one_open"]
