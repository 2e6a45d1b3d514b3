import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from probes import Ask, Case, EndpointError, Outcome, Reply, Request, Result, Score, ScorerError, run
from probes.clients.scripted import ScriptedClient, ScriptedSettings
from probes.errors import ConnectTimeout, EndpointTimeout, RateLimited, ServerFailed
from probes.scorers.text import Exact, ExactSettings
from tests.probes.cases import case, reply

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXACT = {"exact": Exact(ExactSettings())}


def scripted(answer: Callable[[Request], Any]) -> ScriptedClient:
    return ScriptedClient(ScriptedSettings(), answer=answer)


def asks(count: int, scorers: Any = None) -> list[Ask]:
    chosen = EXACT if scorers is None else scorers
    return [Ask(seq=n, case=case(id=f"c{n}", prompt=f"q{n}"), scorers=chosen) for n in range(count)]


def noting(seen: list[Request]) -> Callable[[Request], str]:
    def answer(request: Request) -> str:
        seen.append(request)
        return "4"

    return answer


async def everyone(ask: Ask) -> Outcome | None:
    return None


async def results_of(client: Any, panel: Iterable[Ask], **more: Any) -> list[Result]:
    settings = {"admit": everyone, "clock": lambda: NOW} | more
    return [result async for result in run(client, list(panel), **settings)]


class Waits:
    """A client whose attempts wait for a word from the test."""

    api: ClassVar[int] = 1
    Settings: ClassVar[type[BaseModel]] = ScriptedSettings

    def __init__(self) -> None:
        self.gates: dict[str, asyncio.Event] = {}
        self.in_flight = 0
        self.most = 0
        self.cancelled = 0
        self.begun = asyncio.Event()

    async def ask(self, request: Request) -> Reply:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        self.begun.set()
        try:
            await self.gates.setdefault(str(request.messages[0].content), asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
        return reply("4")

    async def close(self) -> None: ...


async def test_each_ask_has_one_scored_result() -> None:
    results = await results_of(scripted(lambda r: "4"), asks(20))
    assert sorted(r.ask.seq for r in results) == list(range(20))
    assert {(r.outcome, r.score, r.started) for r in results} == {(Outcome.OK, 1.0, NOW)}


async def test_an_empty_panel_has_no_results() -> None:
    assert await results_of(scripted(lambda r: "4"), []) == []


async def test_a_concurrency_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        await results_of(scripted(lambda r: "4"), asks(1), concurrency=0)


async def test_the_request_is_the_case_and_the_timeout() -> None:
    seen: list[Request] = []
    told = Ask(
        seq=0,
        case=case(tools=({"type": "function"},), format={"type": "json_object"}, params={"seed": 1}),
        scorers={},
    )
    await results_of(scripted(noting(seen)), [told], timeout=3.0)
    expected = Request(
        messages=told.case.messages,
        tools=told.case.tools,
        format=told.case.format,
        params=told.case.params,
        timeout=3.0,
    )
    assert seen == [expected]


async def test_results_come_as_attempts_end_and_never_too_many_are_in_flight() -> None:
    client = Waits()
    for n in (2, 0, 1, 3):
        client.gates[f"q{n}"] = asyncio.Event()
    client.gates["q1"].set()
    order = []
    async with contextlib.aclosing(
        run(client, asks(4), admit=everyone, clock=lambda: NOW, concurrency=2)
    ) as results:
        async for result in results:
            order.append(result.ask.seq)
            client.gates[{1: "q2", 2: "q0", 0: "q3"}.get(result.ask.seq, "q3")].set()
    assert order == [1, 2, 0, 3]
    assert client.most == 2


async def test_an_attempt_that_is_not_admitted_sends_nothing() -> None:
    async def no_budget_after_two(ask: Ask) -> Outcome | None:
        return Outcome.NO_BUDGET if ask.seq >= 2 else None

    asked: list[Request] = []
    results = await results_of(scripted(noting(asked)), asks(5), admit=no_budget_after_two)
    assert len(asked) == 2
    assert [r.outcome for r in sorted(results, key=lambda r: r.ask.seq)] == [Outcome.OK] * 2 + [
        Outcome.NO_BUDGET
    ] * 3
    assert all(r.reply is None and not r.scores for r in results if r.outcome is Outcome.NO_BUDGET)


async def test_what_admit_raises_ends_the_run_and_its_attempts() -> None:
    client = Waits()

    async def broken(ask: Ask) -> Outcome | None:
        if ask.seq == 1:
            await client.begun.wait()
            raise RuntimeError("the store is gone")
        return None

    with pytest.raises(RuntimeError, match="the store is gone"):
        await results_of(client, asks(3), admit=broken)
    assert client.in_flight == 0


async def test_a_typed_failure_becomes_its_outcome_and_never_a_score() -> None:
    failure = RateLimited("slow down", status=429, retry_after=7.0)
    (result,) = await results_of(scripted(lambda r: failure), asks(1))
    assert (result.outcome, result.detail, result.retry_after) == (Outcome.RATE_LIMITED, "slow down", 7.0)
    assert (result.reply, result.scores, result.score) == (None, {}, None)


@pytest.mark.parametrize("failure", [EndpointTimeout("late"), ConnectTimeout("late")])
async def test_a_deadline_that_passed_while_our_loop_was_late_is_ours(failure: EndpointError) -> None:
    (ours,) = await results_of(scripted(lambda r: failure), asks(1), lag=lambda since: 0.3)
    (theirs,) = await results_of(scripted(lambda r: failure), asks(1), lag=lambda since: 0.2)
    assert (ours.outcome, ours.lag) == (Outcome.LOOP_LAG, 0.3)
    assert (theirs.outcome, theirs.lag) == (failure.outcome, 0.2)


async def test_a_late_loop_changes_no_failure_that_was_no_deadline() -> None:
    (result,) = await results_of(scripted(lambda r: ServerFailed("500")), asks(1), lag=lambda since: 9.0)
    assert result.outcome is Outcome.SERVER


async def test_a_bug_of_the_client_is_never_the_endpoints_failure(caplog: pytest.LogCaptureFixture) -> None:
    words = "prompt: my secret question, key: sk-123"

    def bug(request: Request) -> str:
        raise KeyError(words)

    with caplog.at_level(logging.ERROR):
        (result,) = await results_of(scripted(bug), asks(1))
    assert result.outcome is Outcome.CANCELLED
    assert "KeyError" in result.detail
    assert "KeyError" in caplog.text
    assert "in bug" in caplog.text
    assert "secret" not in caplog.text + result.detail


async def test_a_client_that_cancels_itself_does_not_end_the_run() -> None:
    def cancels(request: Request) -> str:
        raise asyncio.CancelledError

    results = await results_of(scripted(cancels), asks(3), concurrency=1)
    assert [r.outcome for r in results] == [Outcome.CANCELLED] * 3


class Scores:
    """A scorer that does as it is told."""

    api, version, needs_target = 1, 1, False

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act

    async def score(self, case: Case, reply: Reply) -> Any:
        return self._act()


def raises(error: Exception) -> Any:
    def act() -> None:
        raise error

    return Scores(act)


async def test_a_scorer_that_fails_leaves_the_reply_unscored_and_says_why() -> None:
    scorers = EXACT | {
        "refuses": raises(ScorerError("no target")),
        "bug": raises(ZeroDivisionError("the reply was: boo")),
        "nonsense": Scores(lambda: 0.7),
    }
    (result,) = await results_of(scripted(lambda r: "4"), asks(1, scorers))
    assert result.outcome is Outcome.OK
    assert result.scores["exact"] == Score(value=1.0)
    assert result.scores["refuses"] == Score(value=None, reason="scorer_error", explanation="no target")
    assert {result.scores[name].reason for name in ("bug", "nonsense")} == {"scorer_error"}
    assert "boo" not in result.scores["bug"].explanation
    assert result.score is None


async def test_leaving_early_cancels_what_is_in_flight_and_leaks_no_task() -> None:
    client = Waits()
    client.gates["q0"] = asyncio.Event()
    client.gates["q0"].set()
    before = asyncio.all_tasks()
    async with contextlib.aclosing(
        run(client, asks(10), admit=everyone, clock=lambda: NOW, concurrency=3)
    ) as results:
        first = await anext(results)
    assert first.ask.seq == 0
    assert client.in_flight == 0
    assert client.cancelled >= 2
    assert asyncio.all_tasks() == before


async def test_cancelling_who_reads_cancels_the_attempts() -> None:
    client = Waits()
    reader = asyncio.create_task(results_of(client, asks(5), concurrency=5))
    await client.begun.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await asyncio.sleep(0)
    assert client.in_flight == 0
    assert client.cancelled == 5


async def test_the_loop_time_of_the_beginning_is_handed_to_lag() -> None:
    loop = asyncio.get_running_loop()
    before, told = loop.time(), list[float]()

    def lag(since: float) -> float:
        told.append(since)
        return 0.0

    await results_of(scripted(lambda r: "4"), asks(1), lag=lag)
    assert before <= told[0] <= loop.time()
