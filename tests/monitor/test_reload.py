"""The design's reload table, row by row: by a reload, and by a restart that finds a changed file."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from monitor.config.problem import ConfigInvalid
from monitor.store.tables import (
    baselines,
    case_references,
    eval_set_versions,
)
from rotation import CaseFileInvalid
from tests.conftest import Clock
from tests.monitor.look import knowledge, open_incidents, rows, states, told
from tests.monitor.reloading import changed, each_way, learnt, state_bytes
from tests.site import answers, cases

PROMPT = {"id": "c3", "prompt": "q3, please", "target": "a3"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "http://127.0.0.1:1/v1"}, "url host changed"),
        ({"limits": {"concurrency": 3}}, "limits changed"),
        ({"price": {"input_per_mtok": 1.0, "output_per_mtok": 2.0}}, "price changed"),
        ({"timeout": "9s"}, "timeout changed from 5.0 to 9.0"),
        ({"labels": {"team": "blue"}}, "labels changed"),
        ({"api_key": "another"}, None),
        ({"headers": {"x-tenant": "another"}}, None),
    ],
)
async def test_another_address_key_limit_price_or_timeout_is_an_event_and_nothing_else(
    change: dict[str, Any], said: str | None, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with learnt(tmp_path, f"sqlite:///{tmp_path}/plumbline.db", clock) as (_, it):
        before = await state_bytes(it), await rows(it.store, case_references), await rows(it.store, baselines)
        it.site.config["endpoints"]["bot"] |= change
        async with changed(it, how, clock) as now:
            after = await state_bytes(now), await rows(now.store, case_references)
            assert (*after, await rows(now.store, baselines)) == before
            texts = await told(now.store, "config")
    assert [text for text in texts if text.startswith("bot:")] == texts
    assert len(texts) == (said is not None)
    assert said is None or said in texts[0]


@each_way
async def test_another_cadence_moves_the_grid_and_the_thresholds_and_keeps_the_state(
    store_url: str, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with learnt(tmp_path, store_url, clock) as (_, it):
        before = await state_bytes(it)
        old = it.watch
        it.site.config["probes"]["quality"] |= {"every": "1h", "cases_per_round": 5}
        async with changed(it, how, clock) as now:
            assert await state_bytes(now) == before
            assert now.watch.grid.per_day == 24
            assert now.watch.run_lengths["score"] == pytest.approx(old.run_lengths["score"] / 4)
            assert await now.run(clock) == ["complete"]
            assert len(now.closed[-1].claim.panel) == 5
            assert (await states(now.store))["score"].seq == 5


@each_way
@pytest.mark.parametrize("change", [{"model": "m-2"}, {"params": {"temperature": 0.7}}])
async def test_another_model_or_other_params_make_the_baseline_stale_and_a_new_one_is_captured(
    change: dict[str, Any], store_url: str, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with learnt(tmp_path, store_url, clock) as (_, it):
        it.site.config["endpoints"]["bot"] |= change
        async with changed(it, how, clock) as now:
            assert [row.state for row in await rows(now.store, baselines)] == ["stale"]
            assert await states(now.store) == {}
            assert any("the baseline is stale" in text for text in await told(now.store, "config"))
            assert await now.run(clock) == ["learning"]
            assert await now.run(clock) == ["complete"]
            kept = {row.version: row.state for row in await rows(now.store, baselines)}
            assert (await states(now.store))["score"].verdict["kind"] == "steady"
    assert kept == {1: "stale", 2: "accepted"}


@each_way
async def test_another_prompt_makes_only_its_case_new(
    store_url: str, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with learnt(tmp_path, store_url, clock) as (llm, it):
        before = await state_bytes(it)
        known = await rows(it.store, case_references, case_references.c.measure == "score")
        runs = {row.case_key: row.runs for row in known}
        asked = len(llm.requests)
        it.site.cases = [PROMPT if case["id"] == "c3" else case for case in cases()]
        async with changed(it, how, clock) as now:
            assert await state_bytes(now) == before
            await now.run(clock, 4)
            after = await rows(now.store, case_references, case_references.c.measure == "score")
            kinds = {measure: row.verdict["kind"] for measure, row in (await states(now.store)).items()}
    again = Counter(request.prompt for request in llm.requests[asked:])
    expected = {f"basics/c{n}": runs[f"basics/c{n}"] + again[f"q{n}"] for n in range(20)}
    assert again["q3, please"] >= 1
    assert {row.case_key: row.runs for row in after} == expected | {"basics/c3": again["q3, please"]}
    assert kinds["score"] == "steady"


@each_way
@pytest.mark.parametrize("what", ["target", "scorer"])
async def test_another_target_or_scorer_scores_kept_replies_again_and_leaves_latency_alone(
    what: str, store_url: str, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with learnt(tmp_path, store_url, clock) as (llm, it):
        latency = await knowledge(it.store, "latency")
        asked = len(llm.requests)
        if what == "target":
            it.site.cases = [{**case, "target": "something else"} for case in cases()]
        else:
            it.site.config["eval_sets"]["basics"]["scorers"] = [{"pattern": {"pattern": "zebra"}}]
        async with changed(it, how, clock) as now:
            assert await knowledge(now.store, "latency") == latency
            assert "score" not in await states(now.store)
            again = await rows(now.store, case_references, case_references.c.measure == "score")
            assert [(row.runs, row.total) for row in again] == [(5, 0.0)] * 20
            assert len(llm.requests) == asked
            await now.run(clock)
            verdict = (await states(now.store))["score"].verdict
            moved = [member.name for each in await open_incidents(now.store) for member in each.firing]
            assert "score" not in moved
    assert verdict["kind"] == "steady"


@each_way
async def test_new_cases_extend_the_baseline_by_rows(
    store_url: str, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with learnt(tmp_path, store_url, clock) as (llm, it):
        before = await state_bytes(it)
        llm.answers = answers(24)
        it.site.cases = cases(24)
        async with changed(it, how, clock) as now:
            assert await state_bytes(now) == before
            assert [(row.number, len(row.cases)) for row in await rows(now.store, eval_set_versions)] == [
                (1, 20),
                (2, 24),
            ]
            await now.run(clock, 3)
            (baseline,) = await rows(now.store, baselines)
            known = await rows(now.store, case_references, case_references.c.measure == "score")
            assert (await states(now.store))["score"].verdict["kind"] == "steady"
    assert baseline.state == "accepted"
    assert len({row.case_key for row in known}) == 24


@each_way
async def test_a_case_that_left_the_file_is_asked_no_more(
    store_url: str, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with learnt(tmp_path, store_url, clock) as (llm, it):
        it.site.cases = cases(12)
        async with changed(it, how, clock) as now:
            asked = len(llm.requests)
            await now.run(clock, 3)
    assert {request.prompt for request in llm.requests[asked:]} <= set(answers(12))


@pytest.mark.parametrize("broken", ["config", "cases"])
async def test_a_wrong_file_is_refused_and_the_old_config_goes_on(
    broken: str, store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with learnt(tmp_path, store_url, clock) as (_, it):
        before = await state_bytes(it), it.runtime.loaded, it.watch
        it.site.config["endpoints"]["bot"]["model"] = "m-2"
        if broken == "config":
            it.site.config["probes"]["quality"]["evry"] = "15m"
        else:
            it.site.cases = [*cases(), {"id": "c0", "prompt": "again", "target": "x"}]
        with pytest.raises(ConfigInvalid if broken == "config" else CaseFileInvalid):
            await it.reload()
        assert (await state_bytes(it), it.runtime.loaded, it.watch) == before
        assert [row.state for row in await rows(it.store, baselines)] == ["accepted"]
        assert await it.run(clock) == ["complete"]
