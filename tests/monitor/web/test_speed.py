"""The page of speed and cost and its JSON twin, over real HTTP."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import insert, update

from monitor.store import speed as room
from monitor.store.tables import eval_set_cases, results
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.web.served import Port
from tests.monitor.web.test_page import _Words
from tests.site import Bench

HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
async def asked(it: Bench, llm: FakeLLM, clock: Clock) -> Bench:
    """A site whose cases carry tags and whose endpoint has a price, after a capture (100) and a round (10)."""
    it.site.config["endpoints"]["bot"]["price"] = {"input_per_mtok": 1, "output_per_mtok": 2, "per_hour": 1}
    it.site.cases = [{**case, "tags": [f"t{n % 2}"]} for n, case in enumerate(it.site.cases)]
    await it.reload()
    await it.run(clock, 2)
    return it


async def _page(port: Port, question: str = "") -> _Words:
    status, text, headers = await port.get(f"/speed{question}")
    assert status == 200, text
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    return _Words(text)


async def _json(port: Port, question: str = "") -> Any:
    status, text, _ = await port.get(f"/api/v1/speed{question}")
    assert status == 200, text
    return json.loads(text)


@pytest.mark.usefixtures("asked")
async def test_every_measure_of_every_request_is_shown_with_its_n(port: Port) -> None:
    page, (row,) = await _page(port), (await _json(port))["rows"]
    assert "110 requests: 110 answered, 0 failed." in page.text
    assert re.search(r"latency \d+", page.text)
    assert row["requests"] == 110
    latency = row["measures"]["latency"]
    assert latency["n"] + latency["distrusted"] == 110
    assert row["measures"]["cost"]["mean"]["low"] <= row["measures"]["cost"]["mean"]["value"]
    assert row["spent_usd"] == pytest.approx(110 * row["measures"]["cost"]["mean"]["value"])
    assert set(row["measures"]) == {
        "latency",
        "time_to_first_token",
        "time_per_output_token",
        "tokens_per_second",
        "cost",
    }


@pytest.mark.usefixtures("asked")
async def test_probes_tags_and_rounds_are_told_apart(port: Port) -> None:
    assert [row["group"] for row in (await _json(port, "?by=probe"))["rows"]] == ["quality"]
    assert [row["group"] for row in (await _json(port, "?by=tag"))["rows"]] == ["t0", "t1"]
    rounds = (await _json(port, "?by=round"))["rows"]
    assert [(row["probe"], row["kind"]) for row in rounds[:2]] == [
        ("quality", "scheduled"),
        ("quality", "baseline"),
    ]
    assert sum(row["requests"] for row in rounds) == 110
    assert rounds[0]["slot"] > rounds[1]["slot"]
    assert "bot / t1" in (await _page(port, "?by=tag")).text
    assert (await _page(port, "?by=round")).text.count("scheduled round of") == 1
    tagged = await _json(port, "?tag=t0")
    assert tagged["rows"][0]["requests"] < 110


async def test_each_link_changes_one_word_of_the_question(port: Port, asked: Bench) -> None:
    page = await _page(port, "?by=tag&tag=t0&since=7d")
    links = [attributes for tag, attributes in page.tags if tag == "a" and attributes["href"] != "./"]
    now = {"by": "tag", "tag": "t0", "since": "7d"}
    chosen = [each["href"] for each in links if "aria-current" in each]
    assert [dict(parse_qsl(urlsplit(href or "").query)) for href in chosen] == [now] * 3
    for each in links:
        there = dict(parse_qsl(urlsplit(each["href"] or "").query))
        assert sum(there.get(key) != now[key] for key in now) <= 1
        assert (await port.get(f"/speed{each['href']}"))[0] == 200


async def test_another_period_shows_what_was_then(port: Port, asked: Bench, clock: Clock) -> None:
    clock.advance(days=2)
    assert "No request was made in this period" in (await _page(port)).text
    assert len((await _json(port, "?since=3d"))["rows"]) == 1
    assert len((await _json(port, "?from=2026-03-02&to=2026-03-03"))["rows"]) == 1
    assert (await _json(port, "?from=2026-03-03&to=2026-03-04"))["rows"] == []


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("since=soon", "not a duration"),
        ("from=x", "2026-03-02T12:00"),
        ("by=tags", "did you mean 'tag'?"),
        ("until=2026-03-02", "known are"),
    ],
)
async def test_a_question_that_cannot_be_answered_names_the_cure(
    port: Port, question: str, said: str
) -> None:
    for path in ("/speed", "/api/v1/speed"):
        status, text, _ = await port.get(f"{path}?{question}")
        assert status == 400
        assert said in text


async def test_too_much_at_once_is_refused(port: Port, asked: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_REQUESTS", 19)
    status, text, _ = await port.get("/speed")
    assert (status, "choose a shorter one" in text) == (400, True)


async def test_what_is_unknown_is_said_to_be_unknown(
    port: Port, it: Bench, llm: FakeLLM, clock: Clock
) -> None:
    llm.fault, llm.fault_share = "500", 0.5
    await it.run(clock, 2)
    page = await _page(port)
    assert re.search(r"20 requests: \d+ answered, [1-9]\d* failed\.", page.text)
    assert "What they cost is not known." in page.text


async def test_what_others_wrote_is_harmless_text(port: Port, asked: Bench, clock: Clock) -> None:
    async with asked.store.write() as connection:
        await connection.execute(update(results).values(source=HOSTILE))
        body = {"tags": [HOSTILE]}
        await connection.execute(
            insert(eval_set_cases).values(
                eval_set="x", case_hash="x", layer="file", case_id="x", body=body, added=clock()
            )
        )
    for question in ("?by=probe", "?by=tag", "?tag=%22%3E%3Cscript%3E", "?endpoint=%22%3E%3Cscript%3E"):
        page = await _page(port, question)
        assert "script" not in {tag for tag, _ in page.tags}
        assert not {name for _, attributes in page.tags for name in attributes if name.startswith("on")}
    assert HOSTILE in (await _page(port, "?by=probe")).text


async def test_whoever_may_not_read_sees_nothing(port: Port, asked: Bench) -> None:
    ingest = await port.token("ingest")
    for path in ("/speed", "/api/v1/speed"):
        assert (await port.get(path, Accept="application/json"))[0] == 401
        assert (await port.get(path, ingest))[0] == 403
