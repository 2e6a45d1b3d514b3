"""Asks a panel of cases and scores the replies: the one place where an exception becomes an outcome."""

import asyncio
import logging
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from probes.case import Case
from probes.client import Client
from probes.errors import EndpointError, EndpointTimeout, ScorerError
from probes.outcome import OURS, Outcome
from probes.reply import Reply, Request
from probes.result import Ask, Result
from probes.scorer import Score, Scorer

log = logging.getLogger(__name__)

#: Called before each request: None lets it go, an outcome (no_budget, drained ...) ends the attempt.
Admit = Callable[[Ask], Awaitable[Outcome | None]]

#: Given the loop time at which an attempt began: the event loop's worst lateness since then, in seconds.
Lag = Callable[[float], float]

#: A deadline that passed while our event loop was later than this (seconds) says nothing of the endpoint.
LAG_LIMIT = 0.25

#: Why there is no score: an endpoint that the scorer leans on failed.
JUDGE_DOWN = "judge_down"

#: Seconds that a client may overrun its deadline before we end the attempt for it.
GRACE = 5.0

_BY_DEADLINE = frozenset({Outcome.TIMEOUT, Outcome.DNS, Outcome.CONNECT_TIMEOUT})


class _ClientBug(EndpointError):
    """The client broke its contract. That is our failure, so it must never count against the endpoint.

    Of the outcomes that are ours, `cancelled` says it: we gave the attempt up, nothing was learnt.
    """

    outcome = Outcome.CANCELLED


async def run(
    client: Client,
    asks: Sequence[Ask],
    *,
    admit: Admit,
    clock: Callable[[], datetime],
    concurrency: int = 8,
    timeout: float = 60.0,
    lag: Lag = lambda since: 0.0,
) -> AsyncGenerator[Result, None]:
    """Makes the attempts and yields their results in the order in which they end.

    Closing the iterator, or cancelling who reads it, cancels the attempts in flight; an ask without a result
    was cancelled or never begun. Read it inside `contextlib.aclosing(...)`: leaving early then closes it.

    Args:
        client: The endpoint's voice.
        asks: The attempts, in the order in which they begin.
        admit: Asked before each request; what it raises ends the run.
        clock: Aware UTC.
        concurrency: How many attempts may be in flight; at least 1.
        timeout: Seconds for one attempt, from start to whole reply.
        lag: How late the event loop has been since a loop time, so that our lateness is not called a timeout.

    Raises:
        ValueError: The concurrency is below 1.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency is at least 1, not {concurrency}")
    panel = _Panel(client=client, admit=admit, clock=clock, timeout=timeout, lag=lag)
    ended: asyncio.Queue[Result | asyncio.Task[None]] = asyncio.Queue()
    waiting = iter(asks)

    async def work() -> None:
        for ask in waiting:
            ended.put_nowait(await panel.attempt(ask))

    workers = [asyncio.create_task(work()) for _ in range(min(concurrency, len(asks)))]
    for worker in workers:
        worker.add_done_callback(ended.put_nowait)
    at_work = len(workers)
    try:
        while at_work:
            end = await ended.get()
            if isinstance(end, Result):
                yield end
            else:
                at_work -= 1
                end.result()  # raises what `admit` raised
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Panel:
    """What all attempts of one run share."""

    client: Client
    admit: Admit
    clock: Callable[[], datetime]
    timeout: float
    lag: Lag

    async def attempt(self, ask: Ask) -> Result:
        refused = await self.admit(ask)
        started = self.clock()
        if refused is not None:
            return Result(ask=ask, started=started, outcome=refused, elapsed=0.0)
        loop = asyncio.get_running_loop()
        since = loop.time()
        end = await self._ask(ask.case)
        elapsed = loop.time() - since
        late = self.lag(since)
        if isinstance(end, Reply):
            scores = await score_reply(ask, end)
            return Result(
                ask=ask,
                started=started,
                outcome=Outcome.OK,
                elapsed=elapsed,
                lag=late,
                reply=end,
                scores=scores,
            )
        outcome, detail = end.outcome, end.detail
        if outcome in _BY_DEADLINE and late > LAG_LIMIT:
            outcome, detail = Outcome.LOOP_LAG, f"our event loop was {late:.2f} s late at the deadline"
        return Result(
            ask=ask,
            started=started,
            outcome=outcome,
            elapsed=elapsed,
            lag=late,
            detail=detail,
            retry_after=end.retry_after,
        )

    async def _ask(self, case: Case) -> Reply | EndpointError:
        request = Request(
            messages=case.messages,
            tools=case.tools,
            format=case.format,
            params=case.params,
            timeout=self.timeout,
        )
        backstop = asyncio.timeout(self.timeout + GRACE)
        try:
            async with backstop:
                return await self.client.ask(request)
        except EndpointError as error:
            return error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return _ClientBug("the client cancelled itself; this is a bug of the client")
        except Exception as error:
            if backstop.expired():
                return EndpointTimeout(f"no whole reply within {self.timeout:g} s")
            _log_bug("client", type(self.client).__name__, case, error)
            return _ClientBug(f"the client failed with {type(error).__name__}; this is a bug, see the log")


async def score_reply(ask: Ask, reply: Reply) -> dict[str, Score]:
    """Every score of one reply by the scorer's name; a scorer that fails gives None with a reason."""
    return {name: await _score(name, scorer, ask.case, reply) for name, scorer in ask.scorers.items()}


async def _score(name: str, scorer: Scorer, case: Case, reply: Reply) -> Score:
    try:
        score: object = await scorer.score(case, reply)  # a plugin may give anything
        if isinstance(score, Score):
            return score
        raise TypeError(f"scorer {name} gave {type(score).__name__}, not a Score")
    except EndpointError as error:
        # An endpoint that the scorer asks failed, not the one that it judges.
        reason = str(error.outcome) if error.outcome in OURS else JUDGE_DOWN
        return Score(value=None, reason=reason, explanation=f"the judge gave no answer: {error.detail}")
    except ScorerError as error:
        return Score(value=None, reason="scorer_error", explanation=str(error))
    except Exception as error:
        _log_bug("scorer", name, case, error)
        why = f"scorer {name} failed with {type(error).__name__}; this is a bug, see the log"
        return Score(value=None, reason="scorer_error", explanation=why)


def _log_bug(what: str, name: str, case: Case, error: Exception) -> None:
    # The error's own words may quote a prompt, a reply or a key: only its type and place are logged.
    place = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s %s failed on case %s: %s\n%s", what, name, case.id, type(error).__name__, place)
