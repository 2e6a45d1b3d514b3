"""State gauges over a real store, and what they promise together with the process's own numbers."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from sqlalchemy import update

from monitor.gauges import Gauges
from monitor.store.streams import verdict_json
from monitor.store.tables import detector_states
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.web.served import served
from tests.site import Bench, Site, answers, bench

_DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


class Seen:
    """The registry with its gauges: `await seen.read()` gives series -> value."""

    def __init__(self, bench: Bench, clock: Clock) -> None:
        self.bench, self.clock = bench, clock
        metrics = bench.runtime.world.metrics
        self.gauges = Gauges(bench.store, bench.runtime, lambda: ["log"], clock=clock, metrics=metrics)
        metrics.registry.register(self.gauges)

    async def text(self) -> str:
        self.clock.advance(seconds=5)
        await self.gauges.refresh()
        return generate_latest(self.bench.runtime.world.metrics.registry).decode()

    async def read(self) -> Mapping[str, float]:
        lines = [line for line in (await self.text()).splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@asynccontextmanager
async def looking(url: str, folder: Path, clock: Clock, **bot: Any) -> AsyncIterator[tuple[Seen, FakeLLM]]:
    async with FakeLLM(answers=answers()) as llm:
        site = Site(folder, url, llm.url)
        site.config["endpoints"]["bot"] |= bot
        async with bench(site, clock) as it:
            yield Seen(it, clock), llm


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/plumbline.db"


def _of(measure: str) -> str:
    return f'{{endpoint="bot",measure="{measure}",source="quality"}}'


_PAIR = '{endpoint="bot",source="quality"}'


async def test_a_drop_is_seen_in_every_gauge_that_speaks_of_it(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    priced = {"price": {"input_per_mtok": 1000, "output_per_mtok": 1000}, "limits": {"usd_per_day": 50}}
    async with looking(store_url, tmp_path, clock, **priced) as (seen, llm):
        await seen.bench.capture()
        await seen.bench.run(clock, 4)
        llm.skill = 0.2
        await seen.bench.run(clock, 6)
        last = clock.now
        found = await seen.read()
    assert found[f"plumbline_verdict{_of('score')}"] == 2
    assert found[f"plumbline_evidence_ratio{_of('score')}"] > 1
    low, effect, high = (found[f"plumbline_effect{end}_ratio{_of('score')}"] for end in ("_low", "", "_high"))
    assert low < effect < high < 0
    assert f"plumbline_effect_ratio{_of('errors')}" not in found
    assert sum(value for name, value in found.items() if name.startswith("plumbline_incidents_open")) == 1
    assert found['plumbline_notification_queue_length{channel="log"}'] >= 1
    assert found['plumbline_notification_oldest_timestamp_seconds{channel="log"}'] <= last.timestamp()
    assert found[f"plumbline_probe_last_success_timestamp_seconds{_PAIR}"] == pytest.approx(last.timestamp())
    assert found[f"plumbline_probe_interval_seconds{_PAIR}"] == 900
    assert found[f"plumbline_pool_coverage_ratio{_PAIR}"] == 1
    assert found[f"plumbline_baseline_stale{_PAIR}"] == 0
    assert 0 < found['plumbline_budget_remaining_usd{period="day",scope="bot"}'] < 50
    assert found["plumbline_false_alarm_budget_per_day"] == pytest.approx(1 / 30)
    assert found["plumbline_store_up"] == 1
    assert sum(value for name, value in found.items() if name.startswith("plumbline_store_bytes")) > 10_000


async def test_every_gauge_of_a_new_config_is_there_before_the_first_round(
    sqlite: str, tmp_path: Path, clock: Clock
) -> None:
    async with looking(sqlite, tmp_path, clock, labels={"team": "support"}, region="eu") as (seen, _):
        found = await seen.read()
    assert found[f"plumbline_verdict{_of('latency')}"] == -1
    assert found[f"plumbline_evidence_ratio{_of('latency')}"] == 0
    assert found[f"plumbline_pool_coverage_ratio{_PAIR}"] == 0
    assert found['plumbline_incidents_open{acknowledged="false",severity="critical"}'] == 0
    assert found['plumbline_notification_queue_length{channel="log"}'] == 0
    assert sum(value for name, value in found.items() if name.startswith("plumbline_pool_cases")) == 20
    (info,) = [name for name in found if name.startswith("plumbline_endpoint_info")]
    assert 'team="support"' in info
    assert 'region="eu"' in info
    assert not [name for name in found if name.startswith("plumbline_probe_last_success")]
    assert not [name for name in found if name.startswith("plumbline_baseline_timestamp")]


async def test_a_removed_endpoint_leaves_and_another_model_is_stale(
    sqlite: str, tmp_path: Path, clock: Clock
) -> None:
    async with looking(sqlite, tmp_path, clock) as (seen, _):
        await seen.bench.capture()
        await seen.bench.run(clock, 2)
        site = seen.bench.site
        site.config["endpoints"]["bot"]["model"] = "m-2"
        await seen.bench.reload()
        assert (await seen.read())[f"plumbline_baseline_stale{_PAIR}"] == 1
        site.config["endpoints"]["other"] = site.config["endpoints"].pop("bot")
        site.config["probes"]["quality"]["endpoint"] = "other"
        await seen.bench.reload()
        await seen.text()
        families = list(seen.gauges.collect())
    labels = [sample.labels for family in families for sample in family.samples]
    assert {each["endpoint"] for each in labels if "endpoint" in each} == {"other"}


async def test_the_store_is_read_at_most_every_five_seconds(
    sqlite: str, tmp_path: Path, clock: Clock
) -> None:
    async with looking(sqlite, tmp_path, clock) as (seen, _):
        await seen.read()
        before = seen.gauges.collect()
        clock.advance(seconds=4)
        await seen.gauges.refresh()
        assert seen.gauges.collect() is before
        clock.advance(seconds=1)
        await seen.gauges.refresh()
        assert seen.gauges.collect() is not before


async def test_while_the_store_is_away_state_gauges_are_absent_and_counters_go_on(
    sqlite: str, tmp_path: Path, clock: Clock
) -> None:
    async with looking(sqlite, tmp_path, clock) as (seen, _):
        await seen.bench.capture()
        await seen.read()
        await seen.bench.store.close()
        (tmp_path / "plumbline.db").rename(tmp_path / "away.db")
        (tmp_path / "plumbline.db").mkdir()
        found = await seen.read()
        assert found["plumbline_store_up"] == 0
        assert found[f"plumbline_requests_total{_PAIR}"] > 0
        assert not list(seen.gauges.collect())
        (tmp_path / "plumbline.db").rmdir()
        (tmp_path / "away.db").rename(tmp_path / "plumbline.db")
        assert (await seen.read())["plumbline_store_up"] == 1


async def test_every_metric_is_documented_and_every_documented_metric_is_exposed(
    sqlite: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM() as llm, bench(Site(tmp_path, sqlite, llm.url), clock) as it, served(it) as port:
        _, text, _ = await port.get("/metrics")
    exposed = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    present, _, later = _DOCS.read_text().partition("## Not there yet")
    documented = set(re.findall(r"`(plumbline_[a-z_]+)`", present))
    assert exposed == documented
    assert not exposed & set(re.findall(r"`(plumbline_[a-z_]+)`", later))
    assert "_created" not in text


async def test_an_endpoint_has_at_most_a_hundred_series_while_everything_has_changed(
    sqlite: str, tmp_path: Path, clock: Clock
) -> None:
    priced = {"price": {"input_per_mtok": 1, "output_per_mtok": 1}, "limits": {"usd_per_day": 5}}
    async with looking(sqlite, tmp_path, clock, **priced) as (seen, llm):
        it = seen.bench
        it.runtime.world.metrics.expect(it.runtime.watches.values(), ["log"])
        await it.capture()
        await it.run(clock, 2)
        llm.skill = 0.2
        await it.run(clock, 6)
        (changed,) = [each.verdict for each in it.closed[-1].judged if each.measure.name == "score"]
        async with it.store.write() as connection:
            await connection.execute(update(detector_states).values(verdict=verdict_json(changed)))
        found = await seen.read()
    mine = [name for name in found if 'endpoint="bot"' in name or 'scope="bot"' in name]
    assert len([name for name in mine if "effect_low" in name]) == 5
    assert len(mine) <= 100
