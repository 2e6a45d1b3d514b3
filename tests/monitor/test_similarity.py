"""An endpoint that embeds for the scorer `similarity`: who pays, within which limits, and whose failure is whose."""

from pathlib import Path
from typing import Any

import pytest

from monitor.store import ledger
from monitor.store.tables import permits, results
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.look import rows
from tests.monitor.timeless import bench
from tests.site import Bench, Site, answers

_PRICE = {"input_per_mtok": 1.0, "output_per_mtok": 0}


def embedding(url: str, **more: Any) -> dict[str, Any]:
    settings = {"kind": "openai-embeddings", "url": url, "model": "e-1", "timeout": "5s", "price": _PRICE}
    return settings | more


def site(tmp_path: Path, store_url: str, llm: FakeLLM, embedder: FakeLLM, **more: Any) -> Site:
    made = Site(tmp_path, store_url, llm.url)
    made.config["endpoints"]["embedder"] = embedding(embedder.url, **more)
    made.config["eval_sets"]["basics"]["scorers"] = [{"similarity": {"endpoint": "embedder"}}]
    return made


async def spent(it: Bench, clock: Clock) -> dict[str, tuple[int, int]]:
    """Endpoint -> (spent, reserved), in nano-dollars, today."""
    async with it.store.read() as connection:
        return dict(await ledger.spent_today(connection, clock().date()))


def metric(it: Bench, name: str, **labels: str) -> float | None:
    return it.runtime.world.metrics.registry.get_sample_value(name, labels)


async def test_the_cosine_is_the_score_and_the_embedder_is_paid(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, FakeLLM(input_tokens=3) as embedder:
        made = site(tmp_path, store_url, llm, embedder)
        async with bench(made, clock) as it:
            await it.runtime.rounds.manual(it.watch)
            found = await rows(it.store, results)
            paid = await spent(it, clock)
            held = await rows(it.store, permits)
            asked = metric(it, "plumbline_requests_total", endpoint="embedder", source="quality")
    assert [row.score for row in found] == [pytest.approx(1.0)] * 10
    assert found[0].scores["similarity"]["evidence"]["model"] == "e-1"
    assert asked == len(embedder.requests) == 20  # each reply, and each target for the first time
    assert paid["embedder"] == (20 * 3 * 1_000, 0)
    assert paid.get("bot", (0, 0)) == (0, 0)
    assert held == []


async def test_an_embedder_that_is_down_takes_scores_and_never_the_endpoints_health(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, FakeLLM(fault="500") as embedder:
        made = site(tmp_path, store_url, llm, embedder)
        async with bench(made, clock) as it:
            await it.runtime.rounds.manual(it.watch)
            found = await rows(it.store, results)
            unscored = metric(
                it, "plumbline_unscored_total", endpoint="bot", source="quality", reason="judge_down"
            )
            failures = metric(it, "plumbline_request_failures_total", endpoint="bot", reason="server")
    assert [(row.outcome, row.score) for row in found] == [("ok", None)] * 10
    assert {row.scores["similarity"]["reason"] for row in found} == {"judge_down"}
    assert (unscored, failures) == (10, None)


async def test_the_embedders_own_daily_cap_holds(store_url: str, tmp_path: Path, clock: Clock) -> None:
    async with FakeLLM(answers=answers()) as llm, FakeLLM() as embedder:
        # A question is set aside as 16 or 17 tokens: there is money for six, which are three scores.
        made = site(tmp_path, store_url, llm, embedder, limits={"usd_per_day": 0.000104})
        made.config["endpoints"]["bot"]["limits"] = {"concurrency": 1}
        async with bench(made, clock) as it:
            await it.runtime.rounds.manual(it.watch)
            found = await rows(it.store, results)
            paid = await spent(it, clock)
    assert {row.outcome for row in found} == {"ok"}
    reasons = [row.scores["similarity"].get("reason") for row in found]
    assert reasons == [None] * 3 + ["no_budget"] * 7
    assert len(embedder.requests) == 6
    assert paid["embedder"] == (6 * 1_000, 0)


@pytest.mark.parametrize("changed", [{"model": "e-2"}, {"params": {"dimensions": 8}}])
async def test_another_embedder_is_another_way_to_score(
    store_url: str, tmp_path: Path, clock: Clock, changed: dict[str, Any]
) -> None:
    async with FakeLLM(answers=answers()) as llm, FakeLLM() as embedder:
        made = site(tmp_path, store_url, llm, embedder)
        async with bench(made, clock) as it:
            before = dict(it.watch.bases)
            made.config["endpoints"]["embedder"]["limits"] = {"concurrency": 3}
            await it.reload()
            assert it.watch.bases == before
            made.config["endpoints"]["embedder"] |= changed
            await it.reload()
            after = dict(it.watch.bases)
    assert after.keys() == before.keys()
    assert all(after[key][0] == before[key][0] for key in before)
    assert all(after[key][1] != before[key][1] for key in before)


async def test_an_embedder_can_be_watched_itself(store_url: str, tmp_path: Path, clock: Clock) -> None:
    async with FakeLLM() as embedder:
        made = Site(tmp_path, store_url, "")
        made.config["endpoints"]["bot"] = embedding(embedder.url)
        made.config["eval_sets"]["basics"]["scorers"] = ["json"]
        async with bench(made, clock) as it:
            await it.runtime.rounds.manual(it.watch)
            found = await rows(it.store, results)
    assert [(row.outcome, row.score, row.cost_nano) for row in found] == [("ok", 1.0, 1_000)] * 10
