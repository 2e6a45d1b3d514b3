"""What every client and scorer plugin must keep, as checks that its author's own tests can call.

A broken promise raises ContractBroken, whose message names it. Example:

    async def test_my_scorer_keeps_the_contract():
        await check_scorer(MyScorer, {"threshold": 0.5}, case=my_case)
"""

import asyncio
import copy
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from probes.case import Case, Message
from probes.client import Client
from probes.errors import EndpointError, ScorerError
from probes.reply import Reply, Request, Timings
from probes.scorer import Parts, Score, Scorer

_API = 1
_UNKNOWN = "no-plugin-has-this-key"
_PATIENCE = 10.0  # seconds after which a plugin is called stuck

#: Replies that a hostile or broken endpoint may give.
HOSTILE_REPLIES: Sequence[str] = (
    "",
    "\x00",
    "\u202e\u2066drawkcab\u2069",
    "\x1b[2J\x1b[31m",
    "\ud800",
    "[" * 100_000,
    '{"a":' * 5_000 + "1" + "}" * 5_000,
    "9" * 100_000,
    "1e999999999",
    "<script>alert(1)</script>",
    "x" * 10_000_000,
)


class ContractBroken(AssertionError):
    """A plugin does not keep a promise; the message says which."""


async def check_client(
    kind: type[Any], settings: Mapping[str, Any], *, secret: str | None = None, request: Request | None = None
) -> None:
    """Checks a client class against an endpoint that answers (or fails) as it likes.

    Args:
        kind: The client's class.
        settings: Settings that are valid; the endpoint they name is asked a few times.
        secret: A key that stands in the settings; it must show up nowhere.
        request: What to ask, in place of a one-word question.

    Raises:
        ContractBroken: A promise is broken.
    """
    made = _check_settings(kind, settings, secret)
    request = request or Request(messages=(Message(role="user", content="ping"),), timeout=_PATIENCE)
    client: Client = kind(made)
    _hides(secret, repr(client), "its repr")
    await _check_answer(client, request, secret)
    await _check_deadline(client, request)
    await _check_cancellation(client, request)
    await client.close()
    await client.close()


async def check_scorer(
    kind: type[Any],
    settings: Mapping[str, Any],
    *,
    case: Case,
    reply: str = "a reply",
    repeatable: bool = True,
    parts: Parts | None = None,
) -> None:
    """Checks a scorer class on a usual reply and on hostile ones.

    Args:
        kind: The scorer's class.
        settings: Parameters that are valid.
        case: A case that it can judge.
        reply: The text of a usual reply.
        repeatable: Whether the same reply must score the same.
        parts: What a scorer with `needs` is made with.

    Raises:
        ContractBroken: A promise is broken.
    """
    made = _check_settings(kind, settings, None)
    version, needs_target = getattr(kind, "version", None), getattr(kind, "needs_target", None)
    _must(isinstance(version, int) and version >= 1, "`version` is a whole number from 1 on")
    _must(isinstance(needs_target, bool), "`needs_target` is True or False")
    scorer: Scorer = kind(made) if parts is None else kind(made, parts)
    _must(
        (parts is not None) == hasattr(kind, "needs"), "who has `needs` is made with parts, and nobody else"
    )
    first = await _check_score(scorer, case, reply)
    if repeatable:
        _must(await _check_score(scorer, case, reply) == first, "the same reply scores the same")
    for text in HOSTILE_REPLIES:
        await _check_score(scorer, case, text)


def _must(kept: bool, promise: str) -> None:
    if not kept:
        raise ContractBroken(f"broken promise: {promise}")


def _hides(secret: str | None, text: str, where: str) -> None:
    _must(secret is None or secret not in text, f"{where} does not show a secret")


def _check_settings(kind: type[Any], settings: Mapping[str, Any], secret: str | None) -> BaseModel:
    _must(getattr(kind, "api", None) == _API, f"`api` is {_API}")
    model = getattr(kind, "Settings", None)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise ContractBroken("broken promise: `Settings` is a pydantic model")
    before = copy.deepcopy(dict(settings))
    made = model.model_validate(settings)
    _must(dict(settings) == before, "settings are read, not changed")
    _hides(secret, f"{made!r} {made}", "the settings' repr")
    try:
        model.model_validate({**settings, _UNKNOWN: 1})
    except ValidationError as error:
        _hides(secret, str(error), "the settings' error")
    else:
        raise ContractBroken("broken promise: `Settings` refuses unknown keys (extra='forbid')")
    return made


async def _check_answer(client: Client, request: Request, secret: str | None) -> None:
    before = copy.deepcopy(request)
    try:
        reply = await client.ask(request)
    except EndpointError as error:
        _hides(secret, f"{error} {error!r} {error.detail}", "an error")
    else:
        _must(isinstance(reply, Reply), "`ask` gives a Reply")
        timings = reply.timings
        _must(timings.total >= 0, "`total` is not negative")
        _must(0 <= (timings.first_token or 0) <= timings.total, "the first token lies within the total")
    _must(request == before, "the request is read, not changed")


async def _check_deadline(client: Client, request: Request) -> None:
    hurried = Request(
        messages=request.messages,
        tools=request.tools,
        format=request.format,
        params=request.params,
        timeout=1e-6,
    )
    try:
        async with asyncio.timeout(_PATIENCE) as patience:
            await client.ask(hurried)
    except EndpointError:
        return
    except TimeoutError:
        end = "`ask` ends at its timeout" if patience.expired() else "a passed deadline is an EndpointError"
        raise ContractBroken(f"broken promise: {end}") from None


async def _check_cancellation(client: Client, request: Request) -> None:
    attempt = asyncio.create_task(client.ask(request))
    await asyncio.sleep(0)
    was_in_flight = attempt.cancel()
    done, _ = await asyncio.wait([attempt], timeout=_PATIENCE)
    _must(bool(done), "a cancelled `ask` ends")
    failed = not attempt.cancelled() and attempt.exception() is not None
    # a cancellation that comes out as a failure would be counted against the endpoint
    _must(not (was_in_flight and failed), "a cancelled `ask` raises CancelledError")


async def _check_score(scorer: Scorer, case: Case, text: str) -> Score:
    reply = Reply(text=text, timings=Timings(total=1.0))
    before = copy.deepcopy((case, reply))
    try:
        score: object = await scorer.score(case, reply)
    except (ScorerError, EndpointError) as error:
        score = Score(value=None, reason="scorer_error", explanation=str(error))
    except Exception as error:
        shown = f"{text[:20]!r} ({len(text)} characters)"
        raise ContractBroken(f"broken promise: a score, not {type(error).__name__}, for {shown}") from error
    _must((case, reply) == before, "case and reply are read, not changed")
    if not isinstance(score, Score):
        raise ContractBroken("broken promise: `score` gives a Score")
    return score
