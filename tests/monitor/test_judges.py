"""An endpoint that judges another: who pays, within which limits, and whose failure is whose."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from monitor.config.problem import ConfigInvalid
from monitor.measures import MEASURES
from monitor.store import baselines, ledger
from monitor.store.tables import permits, results
from tests.conftest import Clock
from tests.fakes.llm import Asked, FakeLLM
from tests.monitor.timeless import bench
from tests.probes.judges import code_in
from tests.site import Bench, Site, answers

_PRICE = {"input_per_mtok": 1.0, "output_per_mtok": 2.0}


def verdict(points: int) -> Any:
    """What a fake endpoint says that judges everything alike."""

    def answer(asked: Asked) -> str:
        code = code_in(asked.body["messages"][0]["content"])
        return f'{{"code": "{code}", "verdict": {{"reply": {{"reason": "so it is", "points": {points}}}}}}}'

    return answer


def site(tmp_path: Path, store_url: str, llm: FakeLLM, judge: FakeLLM, **judging: Any) -> Site:
    made = Site(tmp_path, store_url, llm.url)
    made.config["endpoints"]["strict"] = {
        "kind": "openai",
        "url": judge.url,
        "model": "j-1",
        "timeout": "5s",
        "price": _PRICE,
        **judging,
    }
    made.config["eval_sets"]["basics"]["scorers"] = [{"llm-judge": {"endpoint": "strict"}}]
    return made


async def _rows(it: Bench) -> list[Any]:
    async with it.store.read() as connection:
        return list((await connection.execute(select(results))).all())


async def test_a_judge_s_points_are_the_score_and_its_endpoint_is_paid(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, FakeLLM(answers=verdict(8)) as judge:
        made = site(tmp_path, store_url, llm, judge)
        async with bench(made, clock) as it:
            assert (await it.runtime.rounds.manual(it.watch)) is not None
            rows = await _rows(it)
            async with it.store.read() as connection:
                spent = await ledger.spent_today(connection, clock().date())
                held = (await connection.execute(select(permits))).all()
            asked = it.runtime.world.metrics.registry.get_sample_value(
                "plumbline_requests_total", {"endpoint": "strict", "source": "quality"}
            )
            dollars = it.runtime.world.metrics.registry.get_sample_value(
                "plumbline_spend_usd_total", {"endpoint": "strict", "source": "quality", "purpose": "judge"}
            )
    assert [row.score for row in rows] == [0.8] * 10
    evidence = rows[0].scores["llm-judge"]["evidence"]
    assert (evidence["judge"], evidence["points"]) == ("strict", {"reply": "8/10"})
    assert spent["strict"][0] > 0
    assert spent["strict"][1] == 0
    assert "bot" not in spent or spent["bot"] == (0, 0)
    assert held == []
    assert asked == len(judge.requests) == 10
    assert dollars == pytest.approx(spent["strict"][0] / 1e9)


async def test_a_judge_that_is_down_takes_scores_and_never_the_endpoint_s_health(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, FakeLLM(fault="500") as judge:
        made = site(tmp_path, store_url, llm, judge)
        async with bench(made, clock) as it:
            assert (await it.runtime.rounds.manual(it.watch)) is not None
            rows = await _rows(it)
            unscored = it.runtime.world.metrics.registry.get_sample_value(
                "plumbline_unscored_total", {"endpoint": "bot", "source": "quality", "reason": "judge_down"}
            )
            failures = it.runtime.world.metrics.registry.get_sample_value(
                "plumbline_request_failures_total", {"endpoint": "bot", "reason": "server"}
            )
    assert {row.outcome for row in rows} == {"ok"}
    assert {row.scores["llm-judge"]["reason"] for row in rows} == {"judge_down"}
    assert [row.score for row in rows] == [None] * 10
    assert unscored == 10
    assert not failures


async def test_a_judge_s_daily_cap_holds_and_the_rest_is_unscored(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, FakeLLM(answers=verdict(8)) as judge:
        cap = 0.008
        made = site(tmp_path, store_url, llm, judge, params={"max_tokens": 1000}, limits={"usd_per_day": cap})
        async with bench(made, clock) as it:
            await it.runtime.rounds.manual(it.watch)
            rows = await _rows(it)
            async with it.store.read() as connection:
                spent, reserved = (await ledger.spent_today(connection, clock().date()))["strict"]
    reasons = [row.scores["llm-judge"].get("reason") for row in rows]
    assert 0 < reasons.count("no_budget") < 10
    assert reasons.count(None) == len(judge.requests)
    assert 0 < spent <= cap * 1e9
    assert reserved == 0


async def test_an_endpoint_may_judge_itself_and_keeps_to_its_own_concurrency(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    def both(asked: Asked) -> str:
        first = asked.body["messages"][0]
        return str(verdict(10)(asked)) if first["role"] == "system" else "a0"

    async with FakeLLM(answers=both) as llm:
        made = site(tmp_path, store_url, llm, llm)
        made.config["endpoints"]["bot"]["limits"] = {"concurrency": 1}
        made.config["eval_sets"]["basics"]["scorers"] = [{"llm-judge": {"endpoint": "bot"}}]
        async with bench(made, clock) as it:
            assert (await it.runtime.rounds.manual(it.watch)) is not None
            rows = await _rows(it)
    assert [row.score for row in rows] == [1.0] * 10
    assert len(llm.requests) == 20


async def test_endpoints_that_judge_each_other_do_not_wait_for_each_other(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    def both(asked: Asked) -> str:
        first = asked.body["messages"][0]
        return str(verdict(10)(asked)) if first["role"] == "system" else "a0"

    async with FakeLLM(answers=both, latency=0.01) as llm:
        made = site(tmp_path, store_url, llm, llm, limits={"concurrency": 1})
        made.config["endpoints"]["bot"]["limits"] = {"concurrency": 1}
        made.config["eval_sets"]["others"] = {
            "cases": "cases.jsonl",
            "scorers": [{"llm-judge": {"endpoint": "bot"}}],
        }
        made.config["probes"]["back"] = {
            "endpoint": "strict",
            "eval_sets": ["others"],
            "every": "15m",
            "cases_per_round": 5,
        }
        async with bench(made, clock) as it:
            watches = it.runtime.watches.values()
            ended = await asyncio.gather(*(it.runtime.rounds.manual(watch) for watch in watches))
            rows = await _rows(it)
    assert [closed.outcome for closed in ended if closed] == ["complete"] * 2
    assert [row.score for row in rows] == [1.0] * 15


async def test_another_judge_model_is_another_way_to_score(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, FakeLLM(answers=verdict(8)) as judge:
        made = site(tmp_path, store_url, llm, judge)
        async with bench(made, clock) as it:
            before = dict(it.watch.bases)
            made.config["endpoints"]["strict"]["limits"] = {"concurrency": 3}
            await it.reload()
            assert it.watch.bases == before, "limits are no part of who judges"
            made.config["endpoints"]["strict"]["model"] = "j-2"
            await it.reload()
    assert all(it.watch.bases[key][0] == before[key][0] for key in before), "the question is the same"
    assert all(it.watch.bases[key][1] != before[key][1] for key in before)


async def test_kept_replies_are_judged_again_when_the_judge_changed(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, FakeLLM(answers=verdict(8)) as judge:
        made = site(tmp_path, store_url, llm, judge)
        async with bench(made, clock) as it:
            await it.capture()
            asked = len(llm.requests)
            made.config["endpoints"]["strict"]["model"] = "j-2"
            judge.answers = verdict(4)
            await it.reload()
            judge.requests.clear()
            assert await it.run(clock) == ["complete"]
            again = len(judge.requests) - 10
            async with it.store.read() as connection:
                baseline = await baselines.active(connection, *it.watch.key, it.watch.subject)
                assert baseline is not None
                reference = await baselines.load_reference(
                    connection,
                    baseline=baseline.id,
                    measure="score",
                    prior={},
                    basis=it.watch.basis(MEASURES["score"], list(it.watch.cases)),
                )
            await it.run(clock)
    assert len(llm.requests) == asked + 20, "the endpoint itself is not asked again"
    assert again == 100, "each kept reply once"
    assert len(judge.requests) == again + 20, "and only once"
    assert {round(each.mean, 3) for each in reference.cases.values()} == {0.4}


async def test_while_the_judge_is_down_kept_replies_wait(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(answers=answers()) as llm, FakeLLM(answers=verdict(8)) as judge:
        made = site(tmp_path, store_url, llm, judge)
        async with bench(made, clock) as it:
            await it.capture()
            made.config["endpoints"]["strict"]["model"] = "j-2"
            await it.reload()
            judge.fault = "500"
            assert await it.run(clock) == ["complete"]
            judge.fault = "none"
            judge.requests.clear()
            assert await it.run(clock) == ["complete"]
            assert len(judge.requests) == 110


async def test_a_gate_saves_the_judge_s_money(store_url: str, tmp_path: Path, clock: Clock) -> None:
    async with FakeLLM(default_answer="wrong") as llm, FakeLLM(answers=verdict(8)) as judge:
        made = site(tmp_path, store_url, llm, judge)
        gate = {"rule": "gate", "parts": ["exact", {"llm-judge": {"endpoint": "strict"}}]}
        made.config["eval_sets"]["basics"]["scorers"] = [{"composite": gate}]
        async with bench(made, clock) as it:
            await it.runtime.rounds.manual(it.watch)
            rows = await _rows(it)
    assert [row.score for row in rows] == [0.0] * 10
    assert judge.requests == []


def test_a_judge_that_is_not_in_the_config_is_named_with_its_place(tmp_path: Path) -> None:
    made = Site(tmp_path, "sqlite:///x.db", "http://127.0.0.1:1/v1")
    made.config["eval_sets"]["basics"]["scorers"] = [
        {"composite": {"parts": ["exact", {"llm-judge": {"endpoint": "bat"}}]}}
    ]
    made.write()
    with pytest.raises(ConfigInvalid) as caught:
        made.load()
    (problem,) = caught.value.problems
    assert "asks the endpoint 'bat', which is not here" in str(problem)
    assert "bot" in str(problem)
