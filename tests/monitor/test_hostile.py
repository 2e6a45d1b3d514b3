"""Endpoints that send what no database likes: it is stored, cut and cleaned, on both of them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
from pydantic import BaseModel

from monitor.config.load import load
from monitor.plugins import Plugins
from monitor.results import read_reply
from monitor.runtime import Runtime, World
from monitor.store import schema
from monitor.store.engine import Store
from monitor.store.tables import endpoints, events, reply_texts, results
from probes import Reply, Request, Timings, Usage
from probes.errors import Misconfigured, ServerFailed
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.look import open_incidents, rows
from tests.site import Bench, Site, answers, bench, world

NASTY = "NUL \x00 half \ud83d escape \x1b[2J turned \u202e bell \x07"
HUGE = "m" * 2**20


class Wild:
    """A client of somebody else's that hands on whatever it was told."""

    api: ClassVar[int] = 1
    said: ClassVar[str] = ""

    class Settings(BaseModel):
        model: str = "m-1"

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    async def ask(self, request: Request) -> Reply:
        said = type(self).said
        if said == "auth":
            raise Misconfigured(NASTY + HUGE)
        if said == "server":
            raise ServerFailed(NASTY + HUGE)
        return Reply(
            text=NASTY + said,
            timings=Timings(total=0.1, first_token=0.05),
            usage=Usage(input_tokens=1, output_tokens=1),
            finish_reason=NASTY + HUGE,
            tool_calls=({"id": NASTY, "function": {"name": NASTY, "arguments": HUGE}},),
            served_model=NASTY + HUGE + said,
            fingerprint=HUGE,
        )

    async def close(self) -> None: ...


def plugins() -> Plugins:
    from importlib.metadata import entry_points

    wild = EntryPoint(name="wild", value=f"{__name__}:Wild", group="plumbline.clients")
    return Plugins(lambda group: [*entry_points(group=group), *([wild] if group == wild.group else [])])


@asynccontextmanager
async def wild_bench(folder: Path, store_url: str, clock: Clock) -> AsyncIterator[Bench]:
    """A site whose endpoint is of kind `wild`."""
    site = Site(folder, store_url, "http://127.0.0.1:1/v1")
    site.config["endpoints"]["bot"] = {"kind": "wild"}
    site.config["eval_sets"]["basics"]["scorers"] = [
        "exact",
        {"pattern": {"pattern": "half (.)", "group": 1}},
    ]
    site.write()
    loaded = load(site.path, {}, plugins=plugins())
    plain = world(clock)
    store = Store(store_url)
    await schema.prepare(store, migrate=True, now=clock())
    given = World(clock=clock, rng=plain.rng, plugins=plugins(), metrics=plain.metrics)
    runtime = Runtime(store, given, loaded)
    try:
        await runtime.adopt(loaded)
        yield Bench(site, store, runtime)
    finally:
        await runtime.close()
        await store.close()


async def test_a_plugin_client_may_hand_on_anything(store_url: str, tmp_path: Path, clock: Clock) -> None:
    Wild.said = ""
    async with wild_bench(tmp_path, store_url, clock) as it:
        await it.capture()
        assert await it.run(clock) == ["complete"]
        stored = await rows(it.store, results)
        (row,) = await rows(it.store, endpoints)
        (text,) = await rows(it.store, reply_texts)
        Wild.said = "server"
        assert await it.run(clock) == ["complete"]
        (failed, *_) = await rows(it.store, results, results.c.outcome == "server")
        Wild.said = "auth"
        await it.run(clock)
        (wrong,) = await rows(it.store, endpoints)
        incidents = await open_incidents(it.store)
    for label in (*[each.served_model for each in stored], row.served_model, stored[0].finish_reason):
        assert label.isprintable()
        assert len(label) <= 200
    assert stored[0].fingerprint == "m" * 200
    assert read_reply(text.body)[0] == NASTY  # a reply is kept as it came, as ASCII JSON
    for detail in (failed.detail, wrong.state_detail):
        assert detail.isprintable()
        assert len(detail) <= 1000
    said = json.dumps([incident.as_json() for incident in incidents])
    assert "\\u0000" not in said
    assert "\\u001b" not in said


@pytest.mark.parametrize("field", ["model", "system_fingerprint", "content"])
async def test_an_endpoint_may_send_anything(
    field: str, store_url: str, tmp_path: Path, clock: Clock
) -> None:
    def body(value: str) -> list[bytes]:
        chunk: dict[str, Any] = {"model": "m-1", "choices": [{"index": 0, "delta": {"content": "a"}}]}
        if field == "content":
            chunk["choices"][0]["delta"]["content"] = value
        else:
            chunk[field] = value
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "\x00stop\x1b"}]}
        parts = (orjson.dumps(chunk), orjson.dumps(end), b"[DONE]")
        return [b"".join(b"data: " + part + b"\n\n" for part in parts)]

    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        llm.raw = body("\x00\x1b]0;x\x07\u202e" + HUGE)
        assert await it.run(clock, 2) == ["complete"] * 2
        stored = await rows(it.store, results, results.c.kind == "scheduled")
        texts = [row.text for row in await rows(it.store, events)]
    assert {row.outcome for row in stored} == {"ok"}
    assert {row.finish_reason for row in stored} == {"stop"}
    assert all(
        (row.served_model or "").isprintable() and len(row.served_model or "") <= 200 for row in stored
    )
    assert all((row.fingerprint or "").isprintable() and len(row.fingerprint or "") <= 200 for row in stored)
    assert all(text.isprintable() for text in texts)


@pytest.mark.parametrize("reply", ["The answer is " + "9" * 390, "-1e308", "1e-320", "\x00" * 9, "½" * 99])
async def test_what_scorers_saw_in_a_reply_is_stored(
    reply: str, store_url: str, tmp_path: Path, clock: Clock
) -> None:
    site = Site(tmp_path, store_url, "http://127.0.0.1:1/v1")
    async with FakeLLM(default_answer=reply) as llm:
        site.config["endpoints"]["bot"]["url"] = llm.url
        site.config["eval_sets"]["basics"]["scorers"] = ["number", "json"]
        site.cases = [{"id": "c0", "prompt": "q0", "target": "1"}]
        site.config["baseline"]["runs"] = 3
        async with bench(site, clock) as it:
            await it.capture()
            assert await it.run(clock) == ["complete"]
            (row,) = await rows(it.store, results, results.c.kind == "scheduled")
    assert row.score is not None
    assert set(row.scores) == {"number", "json"}


async def test_a_reply_with_half_a_character_is_malformed_and_not_stored(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        llm.raw = [b'data: {"choices": [{"delta": {"content": "\\ud800"}}]}\n\ndata: [DONE]\n\n']
        assert await it.run(clock) == ["complete"]
        assert it.closed[-1].outcomes == {"malformed": 10}


async def test_an_error_message_full_of_control_characters_is_stored_clean(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        llm.behave(fault="401", error_message="no\x00 \x1b[31mkey\x07 \u202e" + "x" * 10_000)
        await it.run(clock)
        (row,) = await rows(it.store, endpoints)
        (incident,) = await open_incidents(it.store)
    assert row.state_detail.isprintable()
    assert len(row.state_detail) < 400
    assert incident.lead.summary.isprintable()
