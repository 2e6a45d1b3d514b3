"""SIGTERM drains, SIGHUP reloads, and nobody starts twice on one file."""

import signal
from pathlib import Path

import pytest

from tests.acceptance.books import asked, books, prompts
from tests.acceptance.daemons import Host, until
from tests.acceptance.places import HOUR, place
from tests.fakes.llm import Asked, FakeLLM
from tests.site import answers

pytestmark = [pytest.mark.kill, pytest.mark.timeout(240)]


@pytest.mark.parametrize(("kind", "at"), [("baseline", 40), ("scheduled", 5)])
async def test_sigterm_lets_requests_end_and_the_next_start_asks_the_rest(
    store_url: str, tmp_path: Path, host: Host, kind: str, at: int
) -> None:
    async with FakeLLM(answers=answers(), latency=0.01) as llm, books(store_url) as kept:
        site = place(tmp_path, store_url, llm, every=HOUR)
        life = host.start(site.path)
        if kind == "scheduled":
            await until(kept.judging, "a baseline")
            await life.stop()
            llm.requests.clear()
            life = host.start(site.path)

        async def ask_to_stop(_: Asked) -> None:
            if len(llm.requests) == at:
                life.signal(signal.SIGTERM)

        llm.before_answer = ask_to_stop
        assert await life.ended() == 0, life.said
        llm.before_answer = None
        (before,) = [row for row in await kept.rounds() if row.state == "open"]
        had = [row for row in await kept.results() if row.kind == kind]
        assert before.kind == kind
        assert prompts(had) == asked(llm)
        llm.requests.clear()

        life = host.start(site.path)  # no lease has to run out: it was given back

        async def closed() -> bool:
            return await kept.judging() and all(row.state == "closed" for row in await kept.rounds())

        await until(closed, "the rest is asked")
        await life.stop()
        rows = [row for row in await kept.results() if row.kind == kind]
        assert asked(llm) == prompts(rows) - prompts(had)
        assert {row.outcome for row in await kept.rounds()} == {"complete"}
        assert {row.outcome for row in rows} == {"ok"}


async def test_sighup_takes_the_file_over_unless_it_is_wrong(
    store_url: str, tmp_path: Path, host: Host
) -> None:
    async with FakeLLM(answers=answers()) as llm, books(store_url) as kept:
        site = place(tmp_path, store_url, llm, every=HOUR)
        life = host.start(site.path)
        await until(kept.judging, "a baseline")
        good = site.path.read_text()
        site.path.write_text(good + "nonsense: 1\n")
        life.reload()
        await until(lambda: "reload refused" in life.said, "the refusal")
        assert "plumbline.yaml:" in life.said
        assert "nonsense" in life.said
        site.config["probes"]["second"] = {
            "endpoint": "bot",
            "eval_sets": ["basics"],
            "every": "1s",
            "cases_per_round": 5,
        }
        site.write()
        life.reload()

        async def second() -> bool:
            return any(row.probe == "second" for row in await kept.rounds("scheduled"))

        await until(second, "a round of the new probe")
        await life.stop()


async def test_a_second_daemon_on_one_sqlite_file_is_refused_by_name(tmp_path: Path, host: Host) -> None:
    async with FakeLLM(answers=answers()) as llm:
        site = place(tmp_path, f"sqlite:///{tmp_path}/plumbline.db", llm, every=HOUR)
        first = host.start(site.path)
        await first.page()
        second = host.start(site.path)
        assert await second.ended() == 4
        assert f"another plumbline (pid {first.pid}) runs on" in second.said
        first.kill()
        await first.ended()
        third = host.start(site.path)
        await third.page()  # the kernel freed the lock of the dead
        await third.stop()
