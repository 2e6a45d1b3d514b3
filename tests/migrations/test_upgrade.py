"""Old stores become current ones: once, whole, and with every row."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from monitor.store import schema
from monitor.store.engine import Store
from monitor.store.errors import SchemaOutdated, SchemaUnknown, StoreUnavailable
from tests.conftest import START
from tests.migrations.revisions import before_head, fill, migrate, rows

_OLDEST = "0001"


async def _sql(store: Store, statement: str) -> None:
    async with store.write() as connection:
        await connection.execute(text(statement))


def _copies(folder: Path) -> list[Path]:
    return sorted(folder.glob("plumbline.db.before-*"))


@pytest.mark.parametrize("revision", before_head())
async def test_every_row_of_an_older_store_is_still_there(empty: Store, revision: str) -> None:
    await migrate(empty, revision)
    before = await fill(empty, rows=3)
    assert before, "the revision has tables"
    assert await schema.upgrade(empty, START)
    after = await rows(empty)
    for table, lines in before.items():
        common = lines[0].keys() & after[table][0].keys()
        kept, old = (
            [{name: line[name] for name in sorted(common)} for line in some] for some in (after[table], lines)
        )
        assert sorted(kept, key=str) == sorted(old, key=str), table


async def test_an_upgrade_of_a_current_store_does_nothing(empty: Store) -> None:
    assert await schema.version(empty) is None
    assert await schema.upgrade(empty, START)
    before = await fill(empty, rows=1) if empty.is_sqlite else {}
    assert not await schema.upgrade(empty, START)
    await schema.prepare(empty, migrate=True, now=START)
    await schema.prepare(empty, migrate=False, now=START)
    await schema.require_current(empty)
    assert await schema.version(empty) == schema.HEAD
    assert {table: lines for table, lines in (await rows(empty)).items() if lines} == before


@pytest.mark.parametrize("revision", [None, _OLDEST])
async def test_replicas_that_upgrade_at_once_all_succeed(
    empty: Store, empty_url: str, tmp_path: Path, revision: str | None
) -> None:
    if revision:
        await migrate(empty, revision)
    others = [Store(empty_url) for _ in range(2)]
    done = await asyncio.gather(*(schema.upgrade(store, START) for store in (empty, *others)))
    assert sum(done) == 1
    for store in others:
        await schema.require_current(store)
        await store.close()
    assert len(_copies(tmp_path)) == (1 if revision and empty.is_sqlite else 0)


async def test_replicas_that_make_a_month_s_partition_at_once_all_succeed(postgres_url: str) -> None:
    stores = [Store(postgres_url) for _ in range(3)]

    async def make(store: Store, months: int) -> None:
        async with store.write() as connection:
            await schema.ensure_partitions(connection, store, schema.month(START, months))

    for months in (10, 20, 30, 40):
        await asyncio.gather(*(make(store, months) for store in stores))
    async with stores[0].read() as connection:
        found = await connection.execute(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'result'::regclass")
        )
        assert {"result_2027_01", "result_2027_02", "result_2027_03"} < set(found.scalars())
    for store in stores:
        await store.close()


async def test_a_sqlite_store_is_copied_whole_before_its_upgrade(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/plumbline.db")
    await migrate(store, _OLDEST)
    await fill(store, rows=2)
    (tmp_path / "plumbline.db").chmod(0o600)
    assert (tmp_path / "plumbline.db-wal").stat().st_size > 0, "much of it is not in the file itself"
    await schema.upgrade(store, START)
    (copy,) = _copies(tmp_path)
    assert copy.name == f"plumbline.db.before-{schema.HEAD}-20260302T120000Z"
    assert copy.stat().st_mode & 0o777 == 0o600
    before = {table: lines for table, lines in (await rows(store)).items() if lines}
    alone = tmp_path / "elsewhere.db"
    alone.write_bytes(copy.read_bytes())
    with closing(sqlite3.connect(alone)) as found:
        assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert found.execute("SELECT version_num FROM alembic_version").fetchall() == [(_OLDEST,)]
        for table, lines in before.items():
            assert found.execute(f'SELECT count(*) FROM "{table}"').fetchone() == (len(lines),)
    await store.close()


async def test_a_new_store_and_a_current_one_are_not_copied(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/plumbline.db")
    for hours in range(2):
        await schema.prepare(store, migrate=False, now=START + timedelta(hours=hours))
    assert _copies(tmp_path) == []
    await store.close()


async def test_a_store_that_cannot_be_copied_is_left_as_it_was(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/plumbline.db")
    await migrate(store, _OLDEST)
    (tmp_path / f"plumbline.db.before-{schema.HEAD}-20260302T120000Z").mkdir()
    with pytest.raises(StoreUnavailable, match=r"could not be copied to plumbline\.db\.before-"):
        await schema.upgrade(store, START)
    assert await schema.version(store) == _OLDEST
    await store.close()


@pytest.mark.parametrize("revision", [None, *before_head()])
async def test_on_postgresql_an_older_schema_is_refused_and_the_command_named(
    empty_postgres: str, revision: str | None
) -> None:
    store = Store(empty_postgres)
    if revision:
        await migrate(store, revision)
    with pytest.raises(SchemaOutdated, match=f"is {revision or 'empty'}, .* `plumbline db upgrade`"):
        await schema.prepare(store, migrate=False, now=START)
    assert await schema.version(store) == revision
    await schema.prepare(store, migrate=True, now=START)
    await schema.prepare(store, migrate=False, now=START)
    await store.close()


@pytest.mark.parametrize(
    ("revision", "said"), [("9999", "newer than this program's"), ("ae1027a6acf", "another program")]
)
async def test_a_newer_schema_and_a_strange_one_are_refused(empty: Store, revision: str, said: str) -> None:
    await schema.upgrade(empty, START)
    await _sql(empty, f"UPDATE alembic_version SET version_num = '{revision}'")
    for migrate_too in (False, True):
        with pytest.raises(SchemaUnknown, match=said):
            await schema.prepare(empty, migrate=migrate_too, now=START)


@pytest.mark.parametrize("table", ["result", "event", "token"])
async def test_a_database_with_tables_of_somebody_else_is_refused(empty: Store, table: str) -> None:
    await _sql(empty, f"CREATE TABLE {table} (theirs INTEGER)")
    with pytest.raises(SchemaUnknown, match=f"`{table}` that Plumbline did not make"):
        await schema.prepare(empty, migrate=True, now=START)
    async with empty.read() as connection:
        assert (await connection.execute(select(text("theirs")).select_from(text(table)))).all() == []


async def test_tables_that_are_not_in_our_way_are_left_alone(empty: Store) -> None:
    await _sql(empty, "CREATE TABLE invoices (theirs INTEGER)")
    await schema.prepare(empty, migrate=True, now=START)
    await schema.require_current(empty)
    await _sql(empty, "INSERT INTO invoices VALUES (1)")
