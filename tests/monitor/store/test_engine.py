"""Two ways into one database: whole or not at all, and one kind of error when it is away."""

import asyncio
import os
import random
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from monitor.store.engine import Store, slices
from monitor.store.errors import StoreInUse, StoreUnavailable
from monitor.store.tables import metas

_NOWHERE = (
    "postgresql://nobody@127.0.0.1:1/db",
    "postgresql://nobody@host.invalid/db",
    "postgresql:///db?host=/no/such/folder",
    "sqlite:////no/such/folder/plumbline.db",
)


async def _put(store: Store, **values: str) -> None:
    async with store.write() as connection:
        for key, value in values.items():
            await connection.execute(insert(metas).values(key=key, value=value))
            await asyncio.sleep(0)


async def _keys(store: Store) -> list[str]:
    async with store.read() as connection:
        return list((await connection.execute(select(metas.c.key).order_by(metas.c.key))).scalars())


async def _enter(store: Store, how: str) -> None:
    async with store.read() if how == "read" else store.write() as connection:
        await connection.execute(text("SELECT 1"))


@pytest.mark.parametrize("how", ["read", "write"])
@pytest.mark.parametrize("url", _NOWHERE)
async def test_a_database_that_is_away_is_unavailable(url: str, how: str) -> None:
    store = Store(url)
    with pytest.raises(StoreUnavailable, match="the store does not answer: "):
        await _enter(store, how)
    await store.close()


@pytest.mark.parametrize("how", ["read", "write"])
async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, how: str) -> None:
    (tmp_path / "notes.txt").write_text("these are notes, and no database at all. " * 50)
    store = Store(f"sqlite:///{tmp_path}/notes.txt")
    with pytest.raises(StoreUnavailable, match="not a database"):
        await _enter(store, how)
    await store.close()


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_a_server_that_is_no_database_is_unavailable(greeting: bytes) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        store = Store(f"postgresql://u@127.0.0.1:{server.sockets[0].getsockname()[1]}/db?ssl=disable")
        with pytest.raises(StoreUnavailable):
            await _enter(store, "write")
        await store.close()


@pytest.mark.parametrize("name", ["no_such_database", "no_such_role"])
async def test_a_wrong_name_in_the_url_is_unavailable_and_said(postgres_url: str, name: str) -> None:
    head, _, query = postgres_url.partition("?")
    base = f"{head.rpartition('/')[0]}/no_such_database?{query}"
    store = Store(base if name == "no_such_database" else postgres_url.replace("//", f"//{name}@", 1))
    with pytest.raises(StoreUnavailable, match=name):
        await _enter(store, "read")
    await store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "plumbline.db",
        "mysql://u:hunter2@h/db",
        "postgresql://u:hunter2@h:port/db",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_a_url_of_no_database_we_know_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"^store: ") as refused:
        Store(url)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("state", ["08006", "25006", "40P01", "53300", "57P01", "57014", "58030"])
async def test_what_postgresql_says_of_itself_is_unavailable(postgres_url: str, state: str) -> None:
    store = Store(postgres_url)
    with pytest.raises(StoreUnavailable, match="told so"):
        async with store.write() as connection:
            await connection.execute(
                text(f"DO $$ BEGIN RAISE EXCEPTION 'told so' USING ERRCODE = '{state}'; END $$")
            )
    await store.close()


async def test_a_mistake_of_ours_does_not_look_like_an_outage(store: Store) -> None:
    with pytest.raises(DBAPIError):
        async with store.read() as connection:
            await connection.execute(text("SELECT * FROM no_such_table"))


async def test_a_connection_that_is_cut_is_unavailable_and_the_next_one_works(postgres_url: str) -> None:
    store, admin = Store(postgres_url), await asyncpg.connect(postgres_url)

    async def cut() -> None:
        async with store.write() as connection:
            pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await connection.execute(insert(metas).values(key="a", value="lost"))
            await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
            await connection.execute(insert(metas).values(key="b", value="lost"))

    with pytest.raises(StoreUnavailable):
        await cut()
    await _put(store, c="kept")
    assert await _keys(store) == ["c"]
    await admin.close()
    await store.close()


async def test_a_replica_that_hangs_does_not_hold_its_locks_for_ever(postgres_url: str) -> None:
    store = Store(postgres_url)
    for _ in range(2):  # the setting outlives the first transaction
        async with store.read() as connection:
            found = await connection.execute(text("SHOW idle_in_transaction_session_timeout"))
            assert found.scalar_one() == "1min"
    await store.close()


async def test_a_write_that_fails_leaves_nothing(store: Store) -> None:
    await _put(store, taken="")
    with pytest.raises(IntegrityError):
        await _put(store, a="", taken="twice")
    assert await _keys(store) == ["taken"]


async def test_what_a_read_changes_is_rolled_back(store: Store) -> None:
    async with store.read() as connection:
        await connection.execute(insert(metas).values(key="a", value="b"))
    assert await _keys(store) == []


async def test_cancelled_writes_are_whole_or_nothing_and_hold_no_lock(store: Store) -> None:
    rng = random.Random(7)
    tasks = [asyncio.create_task(_put(store, **{f"{n:03}a": "", f"{n:03}b": ""})) for n in range(60)]
    for task in rng.sample(tasks, 40):
        for _ in range(rng.randrange(12)):
            await asyncio.sleep(0)
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(end) for end in ended} <= {type(None), asyncio.CancelledError}
    keys = await _keys(store)
    done = {key[:3] for key in keys}
    assert len(keys) == 2 * len(done)
    assert {f"{n:03}" for n, end in enumerate(ended) if end is None} <= done
    await _put(store, after="")


async def test_two_processes_read_and_then_write_without_losing_an_update(pair: tuple[Store, Store]) -> None:
    await _put(pair[0], n="0")

    async def add(store: Store) -> None:
        for _ in range(15):
            async with store.write() as connection:
                query = select(metas.c.value).where(metas.c.key == "n").with_for_update()
                value = int((await connection.execute(query)).scalar_one())
                await connection.execute(update(metas).where(metas.c.key == "n").values(value=str(value + 1)))

    await asyncio.gather(*(add(store) for store in pair for _ in range(3)))
    async with pair[1].read() as connection:
        assert (await connection.execute(select(metas.c.value))).scalar_one() == "90"


def test_a_second_daemon_on_one_file_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    first, second = Store(f"sqlite:///{tmp_path}/p.db"), Store(f"sqlite:///{tmp_path}/p.db")
    first.lock()
    with pytest.raises(StoreInUse, match=rf"another plumbline \(pid {os.getpid()}\) runs on .*postgresql://"):
        second.lock()
    asyncio.run(first.close())
    second.lock()
    asyncio.run(second.close())


def test_a_lock_that_cannot_be_made_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="/no/such/folder"):
        Store("sqlite:////no/such/folder/p.db").lock()


def test_slices_keep_order_and_lose_nothing() -> None:
    assert list(slices(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(slices([])) == []
