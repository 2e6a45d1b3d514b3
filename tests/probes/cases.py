"""Small cases, requests and replies that the tests of this folder share."""

from typing import Any

from probes import Case, Message, Reply, Request, ScorerSpec, Timings


def case(
    target: str | tuple[str, ...] | None = "4", prompt: str = "2+2?", id: str = "c1", **more: Any
) -> Case:
    return Case(
        id=id,
        messages=(Message(role="user", content=prompt),),
        target=target,
        scorers=(ScorerSpec(kind="exact"),),
        **more,
    )


def question(prompt: str = "2+2?", timeout: float = 20.0, **more: Any) -> Request:
    return Request(messages=(Message(role="user", content=prompt),), timeout=timeout, **more)


def reply(text: str) -> Reply:
    return Reply(text=text, timings=Timings(total=1.0))
