import json
from typing import Any

import pytest

from probes import Reply, Score, ScorerError, Timings
from probes.contract import check_scorer
from probes.scorers.tools import ToolCall, ToolCallSettings
from tests.probes.cases import case, reply

PARIS = ("get_weather", {"city": "Paris", "days": 3})
OSLO = ("get_weather", {"city": "Oslo", "days": 3})
MAIL = ("send_mail", {"to": ["a@example.org"], "urgent": True})


def flat(*calls: Any) -> str:
    return json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls])


def made(*calls: Any) -> Reply:
    """A reply with these calls; the arguments are values, or text as it came."""
    return Reply(
        text="",
        timings=Timings(total=1.0),
        tool_calls=tuple(
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
                },
            }
            for number, (name, arguments) in enumerate(calls)
        ),
    )


async def score(said: Reply, target: Any, **settings: Any) -> Score:
    return await ToolCall(ToolCallSettings.model_validate(settings)).score(case(target), said)


@pytest.mark.parametrize(
    ("calls", "target", "settings", "expected"),
    [
        ([PARIS], flat(PARIS), {}, 1),
        ([("get_weather", '{ "days": 3.0, "city": "\\u0050aris" }')], flat(PARIS), {}, 1),
        ([("get_weather", {"city": "Paris", "days": "3"})], flat(PARIS), {}, 0),
        ([("get_weather", {"city": "Paris"})], flat(PARIS), {}, 0),
        ([("get_time", {"city": "Paris", "days": 3})], flat(PARIS), {}, 0),
        ([("send_mail", {"to": ["a@example.org"], "urgent": 1})], flat(MAIL), {}, 0),
        ([], flat(PARIS), {}, 0),
        ([], "[]", {}, 1),
        ([PARIS], "[]", {}, 0),
        ([("ping", "")], flat(("ping", {})), {}, 1),
        ([("ping", {})], '{"name": "ping"}', {}, 1),
        ([("ping", "{")], flat(("ping", {})), {}, 0),
        ([("ping", "{")], flat(("ping", {})), {"arguments": "ignore"}, 1),
        # a subset of the arguments
        ([PARIS], flat(("get_weather", {"city": "Paris"})), {}, 0),
        ([PARIS], flat(("get_weather", {"city": "Paris"})), {"arguments": "subset"}, 1),
        ([PARIS], flat(("get_weather", {"city": "Oslo"})), {"arguments": "subset"}, 0),
        ([("get_weather", {})], flat(("get_weather", {"city": "Oslo"})), {"arguments": "subset"}, 0),
        ([PARIS], flat(OSLO), {"arguments": "ignore"}, 1),
        # order, and calls beside those that are wanted
        ([OSLO, PARIS], flat(PARIS, OSLO), {}, 1),
        ([OSLO, PARIS], flat(PARIS, OSLO), {"ordered": True}, 0),
        ([PARIS, OSLO], flat(PARIS, OSLO), {"ordered": True}, 1),
        ([PARIS, PARIS], flat(PARIS), {}, 0),
        ([PARIS], flat(PARIS, PARIS), {"more": True}, 0),
        ([MAIL, PARIS], flat(PARIS), {"more": True}, 1),
        ([PARIS, MAIL, OSLO], flat(PARIS, OSLO), {"more": True, "ordered": True}, 1),
        ([OSLO, MAIL, PARIS], flat(PARIS, OSLO), {"more": True, "ordered": True}, 0),
        # the first call fits both, the second only the first: each still finds its own
        (
            [PARIS, ("get_weather", {"city": "Oslo"})],
            flat(("get_weather", {}), ("get_weather", {"city": "Paris"})),
            {"arguments": "subset"},
            1,
        ),
        ([OSLO], (flat(PARIS), flat(OSLO)), {}, 1),
        ([PARIS] * 101, flat(PARIS), {"more": True}, 0),
    ],
)
async def test_calls_are_compared_as_values(
    calls: list[Any], target: Any, settings: dict[str, Any], expected: float
) -> None:
    found = await score(made(*calls), target, **settings)
    assert found.value == expected
    assert bool(found.explanation) is not bool(expected)


async def test_the_target_may_be_written_as_the_protocol_writes_calls() -> None:
    assert (await score(made(PARIS), json.dumps([dict(one) for one in made(PARIS).tool_calls]))).value == 1


async def test_a_reply_of_text_calls_nothing() -> None:
    found = await score(reply(flat(PARIS)), flat(PARIS))
    assert (found.value, found.explanation) == (0, "the reply calls no tool")


@pytest.mark.parametrize(
    "target", ["Paris", "4", '["get_weather"]', '[{"arguments": {}}]', '{"name": "x", "arguments": "{"}']
)
async def test_a_target_that_is_no_list_of_calls_is_an_error_of_the_case(target: str) -> None:
    with pytest.raises(ScorerError, match=r"c1: the target is not .*write JSON such as"):
        await score(made(PARIS), target)


@pytest.mark.parametrize(
    "arguments",
    [
        "[" * 100_000,
        '{"a":' * 1_000 + "1" + "}" * 1_000,
        '{"a": "' + "x" * 10_000_000 + '"}',
        "\ud800",
        "\x00",
        "NaN",
    ],
)
async def test_hostile_arguments_are_wrong_arguments(arguments: str) -> None:
    assert (await score(made(("get_weather", arguments)), flat(PARIS))).value == 0


async def test_deep_arguments_that_are_wanted_are_judged() -> None:
    deep = '{"a":' * 1_000 + "1" + "}" * 1_000
    target = f'[{{"name": "x", "arguments": {deep}}}]'
    assert (await score(made(("x", deep)), target)).value in (0, 1)


@pytest.mark.parametrize(
    "call", [{}, {"function": None}, {"function": {"name": 5}}, {"name": None, "arguments": []}]
)
async def test_a_call_without_a_name_is_no_call_that_is_wanted(call: dict[str, Any]) -> None:
    said = Reply(text="", timings=Timings(total=1.0), tool_calls=(call,))
    assert (await score(said, flat(("ping", {})))).value == 0


async def test_a_hostile_name_is_shown_short_and_printable() -> None:
    found = await score(made(("\x1b[2J\u202e" + "x" * 5_000, {})), flat(PARIS))
    (name,) = found.evidence["called"]
    assert name.isprintable()
    assert len(name) <= 200


async def test_the_contract_holds_for_a_target_of_calls() -> None:
    await check_scorer(ToolCall, {}, case=case(flat(PARIS)))
