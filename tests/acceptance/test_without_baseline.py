"""An endpoint that nobody captured a baseline of: watched all the same, and told with due modesty."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from alerts import Severity
from monitor.drift.adwin import ROUNDS_NEEDED, ROUNDS_TOLD
from monitor.store import baselines
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.look import all_incidents, open_incidents, states
from tests.monitor.test_replay import assert_replays
from tests.monitor.timeless import Late
from tests.site import Bench, Site, answers, bench, cases


@pytest.fixture
async def llm() -> AsyncIterator[FakeLLM]:
    async with FakeLLM(answers=answers()) as fake:
        fake.skill = 0.9
        yield fake


@pytest.fixture
async def it(store_url: str, tmp_path: Path, llm: FakeLLM, clock: Clock) -> AsyncIterator[Bench]:
    site = Site(tmp_path, store_url, llm.url)
    site.config["baseline"] = {"capture": False}
    async with bench(site, clock) as made:
        yield made


async def test_much_worse_is_one_warning_that_says_there_is_no_baseline(
    it: Bench, llm: FakeLLM, clock: Clock
) -> None:
    it.runtime.lag = Late()
    assert set(await it.run(clock, ROUNDS_NEEDED + 5)) == {"complete"}
    assert await open_incidents(it.store) == []
    llm.skill = 0.2
    await it.run(clock, 8)
    (incident,) = await all_incidents(it.store)
    assert incident.peak is Severity.WARNING
    member = next(each for each in incident.members if each.rule == "score")
    assert member.summary.startswith("score down")
    assert member.facts["baseline"].startswith("none: compared with its own last rounds by ADWIN")
    assert "provisional" not in member.facts
    assert f"after {ROUNDS_TOLD} rounds" in member.facts["ends"]


async def test_the_way_back_ends_it(it: Bench, llm: FakeLLM, clock: Clock) -> None:
    it.runtime.lag = Late()
    await it.run(clock, ROUNDS_NEEDED + 5)
    llm.skill = 0.2
    await it.run(clock, 10)
    assert len(await open_incidents(it.store)) == 1
    llm.skill = 0.9
    await it.run(clock, 10)
    assert await open_incidents(it.store) == []
    assert len(await all_incidents(it.store)) == 1


async def test_nothing_is_captured_by_itself_but_a_capture_by_hand_judges_from_then_on(
    it: Bench, llm: FakeLLM, clock: Clock
) -> None:
    await it.run(clock, 3)
    async with it.store.read() as connection:
        assert await baselines.versions(connection, *it.watch.key) == []
    assert (await states(it.store))["score"].state["rounds"] == 3
    await it.capture()
    await it.run(clock, 1)
    judged = (await states(it.store))["score"]
    assert judged.baseline.startswith("bas_")
    assert judged.state["judged"] == 1


async def test_another_way_of_scoring_is_not_taken_for_a_change(
    it: Bench, llm: FakeLLM, clock: Clock
) -> None:
    await it.run(clock, 4)
    it.site.cases = [*cases(19), {"id": "c19", "prompt": "q19", "target": "another"}]
    await it.reload()
    await it.run(clock, 2)
    judged = await states(it.store)
    assert judged["score"].state["rounds"] == 2
    assert judged["latency"].state["rounds"] == 6


async def test_rounds_without_a_baseline_replay_to_the_same_states(
    it: Bench, llm: FakeLLM, clock: Clock
) -> None:
    await it.run(clock, ROUNDS_NEEDED)
    llm.skill = 0.2
    await it.run(clock, 8)
    assert {"score", "latency", "errors"} <= await assert_replays(it)
    await it.capture()
    await it.run(clock, 3)
    await assert_replays(it)


def test_with_baselines_river_is_never_imported(tmp_path: Path) -> None:
    """It would cost every daemon a second and 113 MiB."""
    program = (
        "import asyncio, pathlib, sys\n"
        "from tests.acceptance.test_without_baseline import watched\n"
        "asyncio.run(watched(pathlib.Path(sys.argv[1]), capture=sys.argv[2] == 'yes'))\n"
        "print('river' in sys.modules)\n"
    )
    for capture, imported in (("yes", "False"), ("no", "True")):
        folder = tmp_path / capture
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", program, str(folder), capture], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == imported


async def watched(folder: Path, *, capture: bool) -> None:
    """A site through its first rounds, in a process of its own."""
    clock = Clock()
    async with FakeLLM(answers=answers()) as llm:
        site = Site(folder, f"sqlite:///{folder}/plumbline.db", llm.url)
        site.config["baseline"] = {"auto_accept": True, "capture": capture}
        async with bench(site, clock) as it:
            await it.run(clock, ROUNDS_NEEDED + 2)
