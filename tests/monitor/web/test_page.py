"""The status page and its JSON twin, over real HTTP."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, update
from sqlalchemy.engine import Engine

from monitor.store.overview import overview
from monitor.store.tables import detector_states, endpoints, events
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.web.served import Port, served
from tests.site import Bench, Site, answers, bench

HOSTILE = '<script>alert(1)</script>\u202e"onload=x\x1b[31m' + "A" * 5000


class _Words(HTMLParser):
    """What a reader sees, and every tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.text = " ".join(" ".join(self.said).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said.append(data)


async def _page(port: Port) -> _Words:
    status, text, headers = await port.get("/")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    return _Words(text)


async def _json(port: Port) -> Any:
    _, text, _ = await port.get("/api/v1/status")
    return json.loads(text)


async def test_a_healthy_endpoint_is_one_calm_sentence(port: Port, it: Bench, clock: Clock) -> None:
    await it.capture()
    await it.run(clock, 4)
    page, said = await _page(port), await _json(port)
    assert page.text.count("The endpoint is steady.") == 2  # title and heading
    assert "Open incidents" not in page.text
    assert "10 of 20 cases every 15 min" in page.text
    assert "complete, 10 answered" in page.text
    assert "at last 1.00 (0.72 to 1.00, n 10)" in page.text
    assert "Baseline version 1, accepted" in page.text
    assert "Budget: 1 false incident per 30 days, over 5 streams on 1 endpoint." in page.text
    assert "no price is set" in page.text
    assert said["level"] == "steady"
    assert len(said["endpoints"][0]["probes"][0]["points"]) == 4


async def test_a_drop_shows_what_moved_by_how_much_since_when_and_on_which_grounds(
    port: Port, it: Bench, llm: FakeLLM, clock: Clock
) -> None:
    it.site.config["baseline"] = {"auto_accept": False}
    await it.reload()
    await it.capture()
    await it.run(clock, 4)
    llm.skill = 0.2
    await it.run(clock, 5)
    page, said = await _page(port), await _json(port)
    (incident,) = said["incidents"]
    assert "1 open incident; 0 of 1 endpoint steady." in page.text
    assert re.search(r"bot: score down \d+ points \(\d+ to \d+, n \d+\) since about", page.text)
    assert re.search(r"down \d+ points \d+ to \d+, n \d+, since \d\d:\d\d:\d\d", page.text)
    assert re.search(r"evidence:? [\d.]+ nats, [\d.]+ needed", page.text)
    assert "nobody has accepted it yet" in page.text
    assert "plumbline baseline accept quality --endpoint bot" in page.text
    assert ("article", incident["id"]) in [(tag, attributes.get("id")) for tag, attributes in page.tags]
    assert said["level"] == "warning"


async def test_a_new_endpoint_says_what_it_waits_for(port: Port) -> None:
    page = await _page(port)
    assert "1 endpoint: 1 learning." in page.text
    assert "No baseline yet." in page.text
    assert "no baseline to compare with yet" in page.text
    assert "No round yet" in page.text


async def test_an_endpoint_without_a_baseline_says_what_watches_it(
    port: Port, it: Bench, clock: Clock
) -> None:
    it.site.config["baseline"] = {"capture": False}
    await it.reload()
    await it.run(clock, 2)
    page = await _page(port)
    assert "No baseline." in page.text
    assert "Watched by ADWIN, which sees only large changes." in page.text
    assert "To capture one: plumbline baseline capture quality --endpoint bot" in page.text
    assert "2 of the first 20 rounds seen" in page.text
    assert "The next slot captures one" not in page.text
    assert "To accept it" not in page.text


async def test_an_unfinished_capture_says_how_far_it_is(
    port: Port, it: Bench, llm: FakeLLM, clock: Clock
) -> None:
    async for _ in it.runtime.captures.capturing(it.watch, author="test", reason="test"):
        clock.advance(seconds=1)
        page = await _page(port)
        done = int(re.search(r"(\d+) of 100 replies", page.text)[1])  # type: ignore[index]
        if done >= 10:
            break
    assert "Baseline version 1, capturing" in page.text


async def test_an_endpoint_that_refuses_us_names_the_place_to_look(
    port: Port, it: Bench, llm: FakeLLM, clock: Clock
) -> None:
    await it.capture()
    await it.run(clock)
    llm.fault = "401"
    await it.run(clock)
    page = await _page(port)
    assert "misconfigured" in page.text
    assert "It refuses us: HTTP 401" in page.text
    assert "endpoints.bot" in page.text


async def test_what_endpoints_say_is_harmless_text(port: Port, it: Bench, clock: Clock) -> None:
    await it.capture()
    await it.run(clock)
    async with it.store.write() as connection:
        await connection.execute(
            update(endpoints).values(served_model=HOSTILE, state="misconfigured", state_detail=HOSTILE)
        )
        await connection.execute(
            insert(events).values(
                at=clock(), kind="model", endpoint="bot", text=f"model changed to {HOSTILE}"
            )
        )
        found = await connection.execute(detector_states.select().limit(1))
        verdict = {**found.one().verdict, "kind": "learning", "note": HOSTILE}
        await connection.execute(update(detector_states).values(verdict=verdict))
    status, raw, _ = await port.get("/")
    page = _Words(raw)
    assert status == 200
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [
        {"src": "static/refresh.js", "defer": None}
    ]
    assert page.text.count("<script>alert(1)</script>") >= 3
    _, twin, _ = await port.get("/api/v1/status")
    for text in (raw, twin):
        assert not re.search("[\u202a-\u202e\x00-\x08\x0b-\x1f\x7f]", text)
        assert "A" * 400 not in text


async def test_nothing_in_the_page_needs_what_its_policy_forbids(
    port: Port, it: Bench, llm: FakeLLM, clock: Clock
) -> None:
    await it.capture()
    await it.run(clock, 2)
    llm.skill = 0.2
    await it.run(clock, 5)
    page = await _page(port)
    names = {name for _, attributes in page.tags for name in attributes}
    assert not {name for name in names if name.startswith("on") or name == "style"}
    assert not {tag for tag, _ in page.tags} & {"style", "img", "iframe", "form", "object"}
    loaded = {v for _, attributes in page.tags for k, v in attributes.items() if k in ("href", "src")}
    assert "speed" in loaded
    for path in loaded:
        assert (await port.get(f"/{path}"))[0] == 200


async def test_held_out_cases_are_shown_nowhere(port: Port, it: Bench, llm: FakeLLM, clock: Clock) -> None:
    await it.capture()
    await it.run(clock, 3)
    llm.skill = 0.0
    await it.run(clock, 8)
    hidden = [key for key, split in it.watch.splits.items() if split == "held_out"]
    async with it.store.write() as connection:
        found = await connection.execute(detector_states.select().limit(1))
        verdict = {**found.one().verdict, "cases": list(it.watch.splits)}
        await connection.execute(update(detector_states).values(verdict=verdict))
    _, page, _ = await port.get("/")
    _, twin, _ = await port.get("/api/v1/status")
    shown = {key for stream in _streams(json.loads(twin)) for key in stream["verdict"]["cases"]}
    assert hidden
    assert shown == set(it.watch.splits) - set(hidden)
    assert not [key for key in hidden if re.search(rf"{key}\b", page + twin)]
    assert not [text for text in answers() if re.search(rf"\b{text}\b", page + twin)]


def _streams(said: Any) -> list[Any]:
    return [each for bot in said["endpoints"] for probe in bot["probes"] for each in probe["streams"]]


async def test_while_the_store_is_away_the_page_says_so(port: Port, tmp_path: Path) -> None:
    await port.daemon.store.close()
    (tmp_path / "plumbline.db").rename(tmp_path / "away.db")
    (tmp_path / "plumbline.db").mkdir()
    status, text, headers = await port.get("/")
    assert status == 503
    assert text.startswith("the store does not answer")
    assert headers["Retry-After"] == "5"


async def test_an_empty_config_says_what_to_do(site: Site, clock: Clock) -> None:
    for key in ("endpoints", "probes", "eval_sets"):
        site.config[key] = {}
    async with bench(site, clock) as it, served(it) as port:
        assert "Nothing is watched yet: add endpoints and probes" in (await _page(port)).text


async def test_the_overview_is_the_same_on_each_database(
    store_url: str, tmp_path: Path, llm: FakeLLM, clock: Clock
) -> None:
    async with bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        await it.run(clock, 3)
        llm.fault, llm.fault_share = "500", 0.3
        await it.run(clock, 1)
        clock.advance(minutes=1)
        seen = await overview(it.store, it.runtime, clock())
    (bot,) = seen.endpoints
    (probe,) = bot.probes
    assert probe.last_round is not None
    assert probe.last_round.slot == it.watch.grid.slot(clock.now)
    assert sum(probe.last_round.outcomes.values()) == 10
    assert [each.measure for each in probe.streams][:3] == ["score", "errors", "latency"]
    assert [point.at for point in probe.points] == sorted(point.at for point in probe.points)
    assert len(probe.points) == 4
    assert probe.next_slot == it.watch.grid.after(probe.last_round.slot)
    assert not probe.overdue
    assert {each.kind for each in seen.events} >= {"baseline"}


async def test_a_probe_without_a_good_round_for_two_and_a_half_intervals_is_overdue(
    port: Port, it: Bench, clock: Clock
) -> None:
    await it.capture()
    await it.run(clock)
    clock.advance(minutes=37)
    assert "overdue" not in (await _page(port)).text
    clock.advance(minutes=1)
    assert "1 endpoint: 1 overdue." in (await _page(port)).text


@pytest.mark.parametrize("path", ["/", "/metrics"])
async def test_no_reading_walks_through_a_table_that_grows_with_every_reply(
    port: Port, it: Bench, clock: Clock, path: str
) -> None:
    await it.capture()
    await it.run(clock, 3)
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert (await port.get(path))[0] == 200
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    plans = []
    async with it.store.read() as connection:
        for statement, values in asked:
            if statement.startswith("SELECT"):
                plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                plans += [row["detail"] for row in plan.mappings()]
    assert 5 <= len(asked) <= 16
    assert [line for line in plans if re.match(r"SEARCH round\b", line)]
    assert not [
        line for line in plans if re.match(r"SCAN (result|round_stat|round|reply_text|notification)\b", line)
    ]
