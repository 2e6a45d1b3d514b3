from typing import Any

import pytest

from probes.clients.completion import Completion
from probes.clients.transport import Connecting


def delta(**content: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": content}]}


def test_the_first_token_is_the_first_piece_of_what_the_user_waits_for() -> None:
    completion = Completion()
    completion.add(delta(role="assistant", content=""), 11.0)
    completion.add(delta(reasoning_content="let me see"), 12.0)
    completion.add(delta(content="A"), 13.0)
    completion.add(delta(content="B"), 14.0)
    completion.add(delta(content="C"), 16.0)
    completion.add(delta(), 18.0)
    timings = completion.reply(10.0, 19.0, Connecting()).timings
    assert (timings.first_token, timings.between_tokens, timings.total) == (3.0, 1.5, 9.0)


@pytest.mark.parametrize("piece", [{"refusal": "no"}, {"tool_calls": [{"id": "a", "function": {}}]}])
def test_a_refusal_and_a_tool_call_are_first_tokens_too(piece: dict[str, Any]) -> None:
    completion = Completion()
    completion.add(delta(role="assistant", content=None), 1.0)
    completion.add(delta(**piece), 2.0)
    assert completion.reply(0.0, 3.0, Connecting()).timings.first_token == 2.0


def test_other_choices_are_not_mixed_in() -> None:
    completion = Completion()
    completion.add(delta(content="A"), 1.0)
    completion.add({"choices": [{"index": 1, "delta": {"content": "X"}}]}, 2.0)
    assert completion.reply(0.0, 3.0, Connecting()).text == "A"


def test_content_parts_are_joined_and_reasoning_parts_left_out() -> None:
    parts = [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "A"}]
    completion = Completion()
    completion.add({"choices": [{"message": {"content": [*parts, {"type": "text", "text": "B"}]}}]}, None)
    assert completion.reply(0.0, 1.0, Connecting()).text == "AB"
