"""Judges for tests: clients that grade as a given function says."""

import json
import re
from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import BaseModel

from probes import Client, EndpointError, Parts, Reply, Request, Timings

#: Answers a request as a judge would, or fails.
Answer = Callable[[Request], str | EndpointError]


class Bench:
    """A judge that answers as it is told, and remembers what it was asked."""

    api: ClassVar[int] = 1
    Settings: ClassVar[type[BaseModel]] = BaseModel

    def __init__(self, answer: Answer, finish_reason: str = "stop") -> None:
        self.answer = answer
        self.finish_reason = finish_reason
        self.asked: list[Request] = []

    async def ask(self, request: Request) -> Reply:
        self.asked.append(request)
        answer = self.answer(request)
        if isinstance(answer, EndpointError):
            raise answer
        return Reply(
            text=answer,
            timings=Timings(total=0.1),
            served_model="judge-2026",
            finish_reason=self.finish_reason,
        )

    async def close(self) -> None:
        pass


def parts(client: Client, name: str = "judge") -> Parts:
    """What a judge's scorer is made with."""
    return Parts(clients={name: client})


def rules(request: Request) -> str:
    """The instructions of a question."""
    return str(request.messages[0].content)


def material(request: Request) -> str:
    """What is to be graded, with the fences around."""
    return str(request.messages[1].content)


def code_of(request: Request) -> str:
    """What the verdict must repeat, as a judge reads it in the instructions."""
    return code_in(rules(request))


def code_in(instructions: str) -> str:
    """The code that stands in a judge's instructions."""
    found = re.search(r'`code` is always "([0-9a-f]+)"', instructions)
    assert found
    return found[1]


def verdict(request: Request, points: dict[str, Any], reason: str = "because") -> str:
    """A verdict in the form that is asked for."""
    said = {name: {"reason": reason, "points": each} for name, each in points.items()}
    return json.dumps({"code": code_of(request), "verdict": said})


def gives(points: Any, name: str = "reply") -> Answer:
    """A judge that always gives the same."""
    return lambda request: verdict(request, {name: points})
