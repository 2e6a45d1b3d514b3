import json
from pathlib import Path
from typing import Any

import pytest

from probes.case import Message, Provenance, ScorerSpec, ask_hash, content_hash
from rotation import read_cases
from tests.rotation.build import read


def write(folder: Path, *lines: object) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def test_a_prompt_becomes_a_user_turn_and_the_system_prompt_stands_before_it(tmp_path):
    [case] = read(write(tmp_path, {"prompt": "2 + 2?", "system": "Be brief."}))
    assert case.messages == (
        Message(role="system", content="Be brief."),
        Message(role="user", content="2 + 2?"),
    )


def test_every_field_arrives(tmp_path):
    tool = {"type": "function", "function": {"name": "weather"}}
    call = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    path = write(
        tmp_path,
        {
            "id": "weather-1",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Here?"}, image], "name": "ann"},
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "content": "sunny", "tool_call_id": "t1"},
            ],
            "target": ["sunny", "Sunny"],
            "tools": [tool],
            "format": {"type": "json_object"},
            "params": {"max_tokens": 5},
            "scorers": ["exact", {"includes": {"ignore_case": True}}],
            "tags": ["tools", "weather", "tools"],
            "weight": 2,
            "difficulty": 0.25,
            "metadata": {"ticket": 17},
            "family": "weather",
            "provenance": {"source": "expert", "author": "ann", "confidence": 1, "parent": "weather-0"},
        },
    )
    [case] = read(path)
    assert case.id == "weather-1"
    assert case.messages == (
        Message(role="user", content=({"type": "text", "text": "Here?"}, image), name="ann"),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="sunny", tool_call_id="t1"),
    )
    assert case.target == ("sunny", "Sunny")
    assert (case.tools, case.format, case.params) == (
        (tool,),
        {"type": "json_object"},
        {"max_tokens": 5},
    )
    assert [(spec.kind, spec.params) for spec in case.scorers] == [
        ("exact", {}),
        ("includes", {"ignore_case": True}),
    ]
    assert (case.tags, case.weight, case.difficulty) == (("tools", "weather"), 2.0, 0.25)
    assert (case.metadata, case.family) == ({"ticket": 17}, "weather")
    assert case.provenance == Provenance(source="expert", author="ann", confidence=1.0, parent="weather-0")


def test_a_case_without_id_is_called_by_what_it_asks(tmp_path):
    [case] = read(write(tmp_path, {"prompt": "hi", "params": {"top_p": 1}}))
    assert case.id == ask_hash((Message(role="user", content="hi"),), params={"top_p": 1})[:16]


def test_a_case_without_scorers_has_those_of_its_set_and_one_with_scorers_only_its_own(tmp_path):
    path = write(tmp_path, {"prompt": "a"}, {"prompt": "b", "scorers": [{"json": None}]})
    mine = ScorerSpec(kind="pattern", params={"pattern": "x"}, version=3)
    first, second = read_cases(path, default_scorers=(mine,))
    assert first.scorers == (mine,)
    assert second.scorers == (ScorerSpec(kind="json"),)


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("42", "42"),
        ("1.50", "1.50"),
        ("-0.0", "-0.0"),
        ("1e3", "1e3"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ('["7.10", 7.10, 7]', ("7.10", "7.10", "7")),
        ('" padded "', " padded "),
        ("null", None),
    ],
)
def test_a_number_keeps_its_spelling_as_a_target(tmp_path, written, target):
    path = tmp_path / "cases.jsonl"
    path.write_text(f'{{"prompt": "price?", "target": {written}, "params": {{"temperature": 0.50}}}}')
    [case] = read(path)
    assert case.target == target
    assert case.params == {"temperature": 0.5}


def test_a_byte_order_mark_blank_lines_and_windows_line_ends_are_no_trouble(tmp_path):
    path = tmp_path / "cases.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"prompt": "a"}\r\n\r\n   \n{"prompt": "b"}')
    assert [case.messages[0].content for case in read(path)] == ["a", "b"]


def test_a_line_separator_inside_a_text_does_not_end_the_line(tmp_path):
    path = tmp_path / "cases.jsonl"
    path.write_text('{"prompt": "a\u2028b\u0085c"}', encoding="utf-8")
    assert read(path)[0].messages[0].content == "a\u2028b\u0085c"


def test_two_cases_may_ask_the_same_when_both_are_named(tmp_path):
    path = write(tmp_path, {"id": "x", "prompt": "same"}, {"id": "y", "prompt": "same", "scorers": ["json"]})
    first, second = read(path)
    assert first.ask_hash == second.ask_hash
    assert first.content_hash != second.content_hash


def test_a_file_of_five_thousand_lines_is_read_whole(tmp_path):
    path = write(tmp_path, *({"prompt": f"{i} + 1?", "target": i + 1, "tags": ["sum"]} for i in range(5000)))
    cases = read(path, default="exact")
    assert len({case.id for case in cases}) == 5000
    assert cases[41].target == "42"


def test_other_choices_are_another_way_of_scoring_and_other_metadata_is_not(tmp_path):
    asked: dict[str, Any] = {"prompt": "Capital of France?", "target": "B", "scorers": ["exact"]}
    lines = [
        asked,
        {**asked, "metadata": {"ticket": "SUP-17"}},
        {**asked, "metadata": {"choices": ["London", "Paris"]}},
        {**asked, "metadata": {"choices": ["London", "Berlin"]}},
    ]
    plain, noted, first, second = (
        read(write(tmp_path, {"id": f"c{number}", **line}))[0].score_hash for number, line in enumerate(lines)
    )
    assert plain == noted == content_hash([["B"], [{"kind": "exact", "params": {}, "version": 1}]])
    assert len({plain, first, second}) == 3
