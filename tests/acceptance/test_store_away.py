"""The database breaks while the daemon runs: replies wait, nobody blames the endpoint, and it goes on."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from sqlalchemy import make_url, select

from monitor.store.tables import incidents
from tests.acceptance.books import Books, books
from tests.acceptance.daemons import Host, Life, until
from tests.acceptance.places import place
from tests.fakes.llm import FakeLLM
from tests.fakes.slack import FakeSlack
from tests.site import answers

pytestmark = [pytest.mark.kill, pytest.mark.timeout(240)]


class Scene:
    """A daemon with rounds each second, in control, and what it has been answered."""

    def __init__(self, life: Life, page: str, llm: FakeLLM, kept: Books, http: aiohttp.ClientSession) -> None:
        self.life = life
        self.kept = kept
        self._page = page
        self._llm = llm
        self._http = http

    async def ready(self) -> tuple[int, str]:
        """What /-/ready says."""
        async with self._http.get(f"{self._page}/-/ready") as answer:
            return answer.status, await answer.text()

    async def says(self, status: int) -> str:
        """Waits until /-/ready has this status; gives its text."""

        async def look() -> str:
            assert "this is a bug" not in self.life.said, self.life.said
            now, text = await self.ready()
            return text if now == status else ""

        said: str = await until(look, f"/-/ready says {status}")
        return said

    async def amid_a_round(self) -> None:
        """Waits until the endpoint is being asked, with some replies on their way to the store."""
        begun = len(self._llm.requests)
        await until(lambda: len(self._llm.requests) >= begun + 4, "a round is under way", pause=0.005)

    async def next_rounds(self) -> None:
        """Waits for three rounds that begin from now on and are complete."""
        known = {row.id for row in await self.kept.rounds()}

        async def look() -> bool:
            rows = [row for row in await self.kept.rounds("scheduled") if row.id not in known]
            return [row.outcome for row in rows].count("complete") >= 3

        await until(look, "three more complete rounds")


@asynccontextmanager
async def scene(store_url: str, folder: Path, host: Host) -> AsyncIterator[Scene]:
    """Lets a test break the store under a daemon; afterwards nothing may be missing, and nobody blamed."""
    async with (
        FakeLLM(answers=answers(), latency=0.03, latency_sigma=0.5) as llm,
        FakeSlack() as slack,
        books(store_url) as kept,
        aiohttp.ClientSession() as http,
    ):
        site = place(folder, store_url, llm, slack)
        life = host.start(site.path)
        it = Scene(life, await life.page(), llm, kept, http)
        await until(kept.judging, "a baseline")
        await it.next_rounds()
        yield it
        await it.says(200)
        await it.next_rounds()
        await life.stop()
        assert await kept.rows(select(incidents)) == []
        assert slack.posts == []
        rows = await kept.results()
        # What could not be paid for meanwhile was not asked, and says so.
        assert {row.outcome for row in rows} <= {"ok", "store_busy"}
        answered = [row for row in rows if row.outcome == "ok"]
        assert len(answered) == len(llm.requests), "each reply is stored, and asked for once"
        assert "this is a bug" not in life.said


async def test_a_locked_sqlite_file_is_waited_for(tmp_path: Path, host: Host) -> None:
    path = tmp_path / "plumbline.db"
    async with scene(f"sqlite:///{path}", tmp_path, host) as it:
        await it.amid_a_round()
        other = sqlite3.connect(path, timeout=30, isolation_level=None)
        try:
            other.execute("BEGIN EXCLUSIVE")
            said = await it.says(503)
            assert "database is locked" in said
            other.execute("ROLLBACK")
        finally:
            other.close()


async def _on(server: str, *statements: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _terminate(name: str) -> str:
    return f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"


async def test_cut_connections_to_postgresql_are_made_anew(
    postgres_url: str, postgres_template: tuple[str, str], tmp_path: Path, host: Host
) -> None:
    server, name = postgres_template[0], make_url(postgres_url).database
    async with scene(postgres_url, tmp_path, host) as it:
        for _ in range(8):
            await it.amid_a_round()
            await _on(server, _terminate(str(name)))


async def test_a_postgresql_database_that_is_gone_is_waited_for(
    postgres_url: str, postgres_template: tuple[str, str], tmp_path: Path, host: Host
) -> None:
    server, name = postgres_template[0], str(make_url(postgres_url).database)

    async def renamed() -> bool:
        try:
            await _on(server, _terminate(name), f"ALTER DATABASE {name} RENAME TO {name}_away")
        except asyncpg.ObjectInUseError:  # somebody came back in between
            return False
        return True

    async with scene(postgres_url, tmp_path, host) as it:
        await it.amid_a_round()
        await until(renamed, "the database is gone")
        try:
            assert "does not exist" in await it.says(503)
        finally:
            await _on(server, f"ALTER DATABASE {name}_away RENAME TO {name}")


async def test_a_postgresql_database_that_lets_nobody_in_is_waited_for(
    postgres_url: str, postgres_template: tuple[str, str], tmp_path: Path, host: Host
) -> None:
    server, name = postgres_template[0], str(make_url(postgres_url).database)
    async with scene(postgres_url, tmp_path, host) as it:
        await it.amid_a_round()
        await _on(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", _terminate(name))
        try:
            assert "not currently accepting connections" in await it.says(503)
        finally:
            await _on(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
