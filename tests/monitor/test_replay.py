"""A day of rounds replayed from what is stored: the same detector states, references and residuals."""

import json
from pathlib import Path

import pytest

from monitor.measures import MEASURES
from monitor.replay import NothingToReplay, replayed
from monitor.store.baselines import load_reference
from monitor.store.tables import detector_snapshots
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.look import rows, states
from tests.site import Bench, Site, answers, bench, cases


async def assert_replays(it: Bench) -> set[str]:
    """Every judged stream of the site replays to what is stored; gives their measures."""
    judged = await states(it.store)
    for name, row in judged.items():
        measure = MEASURES[name]
        state, reference = await replayed(it.store, it.watch, measure, it.runtime.detector)
        assert json.loads(json.dumps(state)) == row.state, name
        async with it.store.read() as connection:
            kept = await load_reference(
                connection,
                baseline=row.baseline,
                measure=name,
                prior=reference.prior,
                basis=it.watch.basis(measure, list(it.watch.cases)),
            )
        assert dict(reference.cases) == dict(kept.cases), name
        assert tuple(reference.residuals) == tuple(kept.residuals), name
    return set(judged)


async def a_day(it: Bench, llm: FakeLLM, clock: Clock) -> None:
    """96 rounds: well, slowly worse, broken in several ways, without a network, well again."""
    await it.run(clock, 24)
    llm.skill = 0.85
    await it.run(clock, 20)
    llm.skill = 0.4
    await it.run(clock, 16)
    llm.behave(fault="500", fault_share=0.5)
    await it.run(clock, 4)
    llm.behave(fault="429", fault_share=0.5)
    await it.run(clock, 4)
    llm.behave(fault="none", skill=1.0)
    url = it.site.config["endpoints"]["bot"]["url"]
    it.site.config["endpoints"]["bot"]["url"] = "http://no-such-host.invalid/v1"
    await it.reload()
    assert await it.run(clock, 2) == ["no_uplink"] * 2
    it.site.config["endpoints"]["bot"]["url"] = url
    await it.reload()
    await it.run(clock, 26)


async def test_a_day_replays_to_the_same_states(store_url: str, tmp_path: Path, clock: Clock) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        price = {"input_per_mtok": 1.0, "output_per_mtok": 2.0}
        it.site.config["endpoints"]["bot"]["price"] = price
        llm.chunk_delay = 0.001  # so that there is a time between tokens
        llm.answers = {prompt: f"{text} " * 2 for prompt, text in answers().items()}
        it.site.cases = [{**case, "target": f"{case['target']} {case['target']}"} for case in cases()]
        await it.reload()
        await it.capture()
        await a_day(it, llm, clock)
        kinds = {measure: row.verdict["kind"] for measure, row in (await states(it.store)).items()}
        days = {row.day for row in await rows(it.store, detector_snapshots)}
        assert await assert_replays(it) == {measure.name for measure in it.watch.measures}
        async with bench(it.site, clock, seed=9) as again:  # a restart keeps where replays start
            assert {row.day for row in await rows(again.store, detector_snapshots)} == days
            await assert_replays(again)
    assert len(days) == 2
    assert "changed" in {each.verdict.kind for closed in it.closed for each in closed.judged}
    assert kinds["score"] == "steady"


@pytest.mark.parametrize("change", ["prompt", "target", "cadence", "model", "eval set name"])
async def test_a_replay_starts_after_what_the_results_do_not_tell(
    change: str, tmp_path: Path, clock: Clock
) -> None:
    url = f"sqlite:///{tmp_path}/plumbline.db"
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        await it.capture()
        await it.run(clock, 5)
        await assert_replays(it)
        if change == "prompt":
            it.site.cases = [{**case, "prompt": f"{case['prompt']}?"} for case in cases()]
        elif change == "target":
            it.site.cases = [*cases(19), {"id": "c19", "prompt": "q19", "target": "another"}]
        elif change == "cadence":
            it.site.config["probes"]["quality"]["every"] = "5m"
        elif change == "model":
            it.site.config["endpoints"]["bot"]["model"] = "m-2"
        else:
            it.site.config["eval_sets"] = {
                "firsts": {**it.site.config["eval_sets"]["basics"], "was": "basics"}
            }
            it.site.config["probes"]["quality"]["eval_sets"] = ["firsts"]
        await it.reload()
        await it.run(clock, 6)
        await assert_replays(it)


async def test_another_baseline_starts_another_replay(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path}/plumbline.db"
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        await it.capture()
        await it.run(clock, 3)
        await it.capture()  # accepted at once, by the config
        await it.run(clock, 3)
        judged = {row.stream_id: row.baseline for row in (await states(it.store)).values()}
        kept = {row.stream_id: row.baseline for row in await rows(it.store, detector_snapshots)}
        assert kept == judged
        await assert_replays(it)


async def test_a_stream_that_was_never_judged_has_nothing_to_replay(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path}/plumbline.db"
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, url, llm.url), clock) as it:
        with pytest.raises(NothingToReplay, match="bot/quality score was not judged yet"):
            await replayed(it.store, it.watch, MEASURES["score"], it.runtime.detector)
