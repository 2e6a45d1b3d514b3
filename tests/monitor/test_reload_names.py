"""What left the config, and what has another name since: by a reload, and by a restart."""

import copy
from pathlib import Path
from typing import Any

import pytest

from monitor.store.tables import (
    baselines,
    case_references,
    endpoints,
    eval_set_versions,
    exposures,
    notifications,
    results,
    rounds,
    streams,
)
from tests.conftest import Clock
from tests.monitor.look import all_incidents, open_incidents, rows, states, told
from tests.monitor.reloading import changed, each_way, learnt, state_bytes


@each_way
async def test_a_removed_probe_closes_its_streams_and_resolves_its_incident(
    store_url: str, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with learnt(tmp_path, store_url, clock) as (llm, it):
        it.site.config["probes"]["other"] = {**it.site.config["probes"]["quality"], "every": "1h"}
        llm.skill = 0.0
        await it.run(clock, 3)
        (incident,) = await open_incidents(it.store)
        del it.site.config["probes"]["quality"]
        async with changed(it, how, clock) as now:
            closed = await rows(now.store, streams, streams.c.source == "quality")
            (over,) = await all_incidents(now.store)
            owed = await rows(now.store, notifications, notifications.c.incident_id == incident.id)
            assert await told(now.store, "config") == ["bot/quality: removed; its streams are closed"]
            kept = await rows(now.store, results, results.c.source == "quality")
    assert all(row.closed is not None for row in closed)
    assert (over.id, over.state, over.resolution) == (incident.id, "resolved", "removed from config")
    last = max(owed, key=lambda row: row.seq)
    assert (last.kind, last.state) == ("resolved", "due")
    assert kept


@each_way
async def test_a_probe_that_comes_back_goes_on_where_it_stood(
    store_url: str, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with learnt(tmp_path, store_url, clock) as (_, it):
        probe = it.site.config["probes"].pop("quality")
        it.site.config["probes"]["other"] = {**probe, "every": "1h"}
        async with changed(it, how, clock) as without:
            it.site.config["probes"] = {"quality": probe}
            async with changed(without, how, clock) as now:
                assert await now.run(clock) == ["complete"]
                assert (await states(now.store))["score"].seq == 5


@each_way
async def test_a_removed_endpoint_is_closed_with_all_that_hung_on_it(
    store_url: str, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with learnt(tmp_path, store_url, clock) as (llm, it):
        await llm.down()
        await it.run(clock, 2)
        it.site.config["endpoints"]["new"] = {**it.site.config["endpoints"].pop("bot"), "model": "m-9"}
        it.site.config["probes"]["quality"]["endpoint"] = "new"
        async with changed(it, how, clock) as now:
            known = {row.name: row for row in await rows(now.store, endpoints)}
            (over,) = await all_incidents(now.store)
            left = await rows(now.store, streams, streams.c.closed.is_(None))
    assert known["bot"].closed is not None
    assert known["new"].closed is None
    assert over.resolution == "removed from config"
    assert {row.endpoint for row in left} == {"new"}


def renamed(config: dict[str, Any], what: str) -> dict[str, Any]:
    """The config after a person renamed one thing."""
    new = copy.deepcopy(config)
    if what == "endpoint":
        new["endpoints"] = {"robot": {**new["endpoints"]["bot"], "was": "bot"}}
        new["probes"]["quality"]["endpoint"] = "robot"
    elif what == "probe":
        new["probes"] = {"smoke": {**new["probes"]["quality"], "was": "quality"}}
    else:
        new["eval_sets"] = {"starters": {**new["eval_sets"]["basics"], "was": "basics"}}
        new["probes"]["quality"]["eval_sets"] = ["starters"]
    return new


@each_way
@pytest.mark.parametrize("what", ["endpoint", "probe", "eval set"])
async def test_a_renamed_thing_keeps_its_history(
    what: str, store_url: str, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with learnt(tmp_path, store_url, clock) as (_, it):
        before = await state_bytes(it)
        tables = (results, rounds, streams, baselines, exposures, case_references, eval_set_versions)
        sizes = [len(await rows(it.store, table)) for table in tables]
        it.site.config = renamed(it.site.config, what)
        async with changed(it, how, clock) as now:
            assert await state_bytes(now) == before
            assert [len(await rows(now.store, table)) for table in tables] == sizes
            endpoint, probe = now.watch.key
            mine = await rows(now.store, results, results.c.endpoint == endpoint, results.c.source == probe)
            assert len(mine) == sizes[0]
            assert {row.case_key for row in mine} == set(now.watch.cases)
            asked = {row.case_key: row.asked for row in await rows(now.store, exposures)}
            assert asked.keys() <= now.watch.cases.keys()
            assert sum(asked.values()) == 40
            assert await now.run(clock) == ["complete"]
            after = {measure: row for measure, row in (await states(now.store)).items()}
            references = await rows(now.store, case_references, case_references.c.measure == "score")
            assert await now.reload() == []  # an old `was` left in the file moves nothing twice
    assert after["score"].seq == 5
    assert after["score"].verdict["kind"] == "steady"
    assert sum(row.runs for row in references) == 20 * 5 + 5 * 10


@each_way
async def test_a_rename_resolves_what_was_open_under_the_old_name(
    store_url: str, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with learnt(tmp_path, store_url, clock) as (llm, it):
        llm.skill = 0.0
        await it.run(clock, 3)
        it.site.config = renamed(it.site.config, "endpoint")
        async with changed(it, how, clock) as now:
            assert [each.resolution for each in await all_incidents(now.store)] == ["removed from config"]
            await now.run(clock)
            (incident,) = await open_incidents(now.store)
    assert incident.labels["endpoint"] == "robot"


@each_way
async def test_a_channel_that_left_the_config_owes_nothing_more(
    store_url: str, tmp_path: Path, clock: Clock, how: str
) -> None:
    async with learnt(tmp_path, store_url, clock) as (llm, it):
        llm.skill = 0.0
        await it.run(clock, 3)
        it.site.config["alerts"] = {"channels": {"elsewhere": {"kind": "log"}}}
        async with changed(it, how, clock) as now:
            owed = await rows(now.store, notifications)
    assert {(row.channel, row.state, row.reason) for row in owed} == {
        ("log", "failed", "channel removed from config")
    }
