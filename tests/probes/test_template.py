from typing import Any

import pytest

from probes import Message, Request
from probes.clients.template import Template

REQUEST = Request(
    messages=(
        Message(role="system", content="Be brief."),
        Message(role="user", content="first"),
        Message(role="assistant", content="ok"),
        Message(role="user", content=({"type": "text", "text": 'say "{{system}}"'}, {"type": "image_url"})),
    ),
    params={"k": 5},
)


@pytest.mark.parametrize(
    ("body", "filled"),
    [
        ("{{prompt}}", 'say "{{system}}"'),
        ("{{ prompt }}!", 'say "{{system}}"!'),
        ({"a": ["{{params.k}}", "{{params.t}}", None, 3]}, {"a": [5, 0.5, None, 3]}),
        ({"a": "k={{params.k}} gone={{params.gone}}."}, {"a": "k=5 gone=."}),
        ({"a": "{{params.gone}}", "b": None}, {"b": None}),
        (["{{tools}}", "{{format}}", 1], [1]),
        ({"tools": "t: {{params.list}}"}, {"tools": 't: ["x"]'}),
        ("{{model}}", "m"),
        ("{not a place}", "{not a place}"),
    ],
)
def test_a_template_is_filled(body: Any, filled: Any) -> None:
    params = {"k": 1, "t": 0.5, "list": ["x"]}
    assert Template(body).fill(REQUEST, model="m", params=params) == filled


def test_a_request_without_words_has_an_empty_prompt() -> None:
    made = Template({"p": "{{prompt}}", "m": "{{messages}}", "s": "{{system}}"})
    assert made.fill(Request(messages=()), model="", params={}) == {"p": "", "m": []}
