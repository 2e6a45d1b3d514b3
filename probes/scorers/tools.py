"""The scorer `tool-call`: whether the reply calls the right tools with the right arguments."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import orjson
from pydantic import BaseModel, ConfigDict

from probes.case import Case, JsonObject
from probes.errors import ScorerError
from probes.reply import Reply
from probes.scorer import Score
from probes.scorers.judging import LONG, quote, targets_of

#: More calls than this in one reply are wrong without a look at them.
_MOST_CALLS = 100
_SHOWN = 10


class ToolCallSettings(BaseModel):
    """Parameters of `tool-call`.

    Attributes:
        arguments: `exact`: the same names and values; `subset`: those of the target, others may stand beside them;
            `ignore`: only the tool's name counts.
        ordered: The calls come in the target's order.
        more: Calls that the target does not have may come too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    arguments: Literal["exact", "subset", "ignore"] = "exact"
    ordered: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    arguments: Any


class ToolCall:
    """1 where the reply's tool calls are those of a target, else 0.

    Calls are compared as parsed values, as the Berkeley Function Calling Leaderboard does (Patil et al. 2025).
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = True
    Settings: ClassVar[type[BaseModel]] = ToolCallSettings

    def __init__(self, settings: ToolCallSettings) -> None:
        self._settings = settings

    async def score(self, case: Case, reply: Reply) -> Score:
        """Compares the calls.

        Raises:
            ScorerError: The case has no target, or one that is not JSON of tool calls.
        """
        if sum(len(_raw_arguments(call)) for call in reply.tool_calls[:_MOST_CALLS]) > LONG:
            return await asyncio.to_thread(self._judge, case, reply.tool_calls)
        return self._judge(case, reply.tool_calls)

    def _judge(self, case: Case, made: Sequence[JsonObject]) -> Score:
        wanted = [_expected(case, target) for target in targets_of(case)]
        if len(made) > _MOST_CALLS:
            return Score(value=0.0, explanation=f"the reply calls {len(made)} tools")
        calls = [_call(one) for one in made]
        evidence = {"called": [quote(call.name) for call in calls[:_SHOWN]]}
        if any(self._right(target, calls) for target in wanted):
            return Score(value=1.0, evidence=evidence)
        return Score(value=0.0, explanation=_why(wanted[0], calls), evidence=evidence)

    def _right(self, wanted: list[_Call], calls: list[_Call]) -> bool:
        if len(calls) < len(wanted) or (len(calls) > len(wanted) and not self._settings.more):
            return False
        if self._settings.ordered:
            rest = iter(calls)
            return all(any(self._equal(want, call) for call in rest) for want in wanted)
        return _matched(wanted, calls, self._equal)

    def _equal(self, want: _Call, call: _Call) -> bool:
        if want.name != call.name:
            return False
        if self._settings.arguments == "ignore":
            return True
        ours, theirs = want.arguments, call.arguments
        if self._settings.arguments == "subset" and isinstance(ours, dict) and isinstance(theirs, dict):
            theirs = {name: value for name, value in theirs.items() if name in ours}
        try:
            return _same(ours, theirs)
        except RecursionError:
            return False


def _matched(wanted: Sequence[_Call], calls: Sequence[_Call], equal: Callable[[_Call, _Call], bool]) -> bool:
    """Whether every wanted call has a call of its own (augmenting paths, Kuhn 1955)."""
    fits = [[index for index, call in enumerate(calls) if equal(want, call)] for want in wanted]
    taken: dict[int, int] = {}

    def place(want: int, seen: set[int]) -> bool:
        for index in fits[want]:
            if index not in seen:
                seen.add(index)
                if index not in taken or place(taken[index], seen):
                    taken[index] = want
                    return True
        return False

    return all(place(want, set()) for want in range(len(wanted)))


def _same(ours: Any, theirs: Any) -> bool:
    """Equality of JSON values: 1 is 1.0, but true is not 1."""
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_same(value, theirs[key]) for key, value in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    return bool(ours == theirs)


def _expected(case: Case, target: str) -> list[_Call]:
    cure = 'write JSON such as [{"name": "get_weather", "arguments": {"city": "Paris"}}] as text'
    try:
        listed = orjson.loads(target)
    except orjson.JSONDecodeError:
        raise ScorerError(f"case {case.id}: the target is not JSON of tool calls; {cure}") from None
    calls = [_call(one) for one in (listed if isinstance(listed, list) else [listed])]
    if any(not call.name or call.arguments is None for call in calls) or len(calls) > _MOST_CALLS:
        raise ScorerError(f"case {case.id}: the target is not a list of tool calls; {cure}")
    return calls


def _call(raw: object) -> _Call:
    """A call, flat or in the shape of chat protocols; arguments that are no JSON are None and equal nothing."""
    inner = _inner(raw)
    name, arguments = inner.get("name"), inner.get("arguments")
    if arguments is None:
        arguments = {}
    elif isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments or "{}")  # some servers write no arguments as empty text
        except orjson.JSONDecodeError:
            arguments = None
    return _Call(name if isinstance(name, str) else "", arguments)


def _inner(raw: object) -> JsonObject:
    if not isinstance(raw, dict):
        return {}
    function = raw.get("function")
    return function if isinstance(function, dict) else raw


def _raw_arguments(raw: object) -> str:
    arguments = _inner(raw).get("arguments")
    return arguments if isinstance(arguments, str) else ""


def _why(wanted: list[_Call], calls: list[_Call]) -> str:
    if not calls:
        return "the reply calls no tool"
    if sorted(call.name for call in calls) != sorted(call.name for call in wanted):
        return f"the reply makes {len(calls)} calls, the target {len(wanted)}; the tools differ"
    if any(call.arguments is None for call in calls):
        return "the arguments are not JSON"
    return "the right tools, with other arguments or in another order"
