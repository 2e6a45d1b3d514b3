import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probes.case import Case
from rotation import CaseFileInvalid
from tests.rotation.build import read


def problems(folder: Path, data: bytes | str, default: str = "json") -> list[str]:
    path = folder / "cases.jsonl"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(CaseFileInvalid) as caught:
        read(path, default)
    assert str(caught.value) == "\n".join(str(problem) for problem in caught.value.problems)
    return [str(problem).removeprefix(str(path)) for problem in caught.value.problems]


MESSAGES = '"messages": [{"role": "user", "content": "a"}]'
NAMES = (
    "id, prompt, system, messages, target, tools, format, params, scorers, tags, weight, difficulty, "
    "metadata, family, provenance"
)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('["a"]', ':1: is not an object; write one on each line: {"prompt": "..."}'),
        ("{}", ":1: asks nothing; add `prompt` or `messages`"),
        ('{"prompt": "  "}', ":1: prompt: is empty; fill it in or leave the key out"),
        ('{"prompt": 5}', ':1: prompt: is a number; write text, in "quotes"'),
        (
            '{"prompt": "a", "id": 17}',
            ':1: id: is a number; write text, in "quotes"',
        ),
        (
            '{"prompt": "a", "id": "a\\nb"}',
            ":1: id: is too long or holds control characters; use at most 200 printable characters",
        ),
        (f'{{"prompt": "a", {MESSAGES}}}', ":1: messages: stands beside `prompt`; keep one of the two"),
        (
            f'{{"system": "s", {MESSAGES}}}',
            ":1: system: stands beside `messages`; "
            'make it the first message: {"role": "system", "content": "..."}',
        ),
        ('{"messages": []}', ":1: messages: is empty; add at least one message, or use `prompt`"),
        ('{"messages": "a"}', ":1: messages: is text; write a list, in [brackets]"),
        ('{"messages": ["a"]}', ":1: messages[0]: is text; write an object, in {braces}"),
        (
            '{"messages": [{"role": "user"}]}',
            ":1: messages[0]: says nothing; give it `content` (or `tool_calls`), or remove it",
        ),
        (
            '{"messages": [{"role": "user", "content": " "}]}',
            ":1: messages[0]: says nothing; give it `content` (or `tool_calls`), or remove it",
        ),
        ('{"messages": [{"content": "a"}]}', ":1: messages[0].role: is missing; add it"),
        (
            '{"messages": [{"role": "sytem", "content": "a"}]}',
            ":1: messages[0].role: is not one of system, developer, user, assistant, tool; "
            "did you mean 'system'?",
        ),
        (
            '{"messages": [{"role": "user", "content": 5}]}',
            ":1: messages[0].content: is neither text nor a list of parts; "
            'write "text" or [{"type": "text", "text": "..."}]',
        ),
        (
            '{"messages": [{"role": "user", "content": ["a"]}]}',
            ":1: messages[0].content: holds a part that is plain text; "
            'write {"type": "text", "text": "..."} in its place',
        ),
        (
            '{"messages": [{"role": "user", "content": "a", "tool_call": []}]}',
            ":1: messages[0].tool_call: is not a known key; did you mean 'tool_calls'?",
        ),
        ('{"prompt": "a", "tagz": []}', ":1: tagz: is not a known key; did you mean 'tags'?"),
        ('{"prompt": "a", "zzz": 1}', f":1: zzz: is not a known key; known are: {NAMES}"),
        ('{"prompt": "a", "tags": "b"}', ":1: tags: is text; write a list, in [brackets]"),
        ('{"prompt": "a", "tags": [""]}', ":1: tags[0]: is empty; fill it in or leave the key out"),
        ('{"prompt": "a", "weight": 0}', ":1: weight: is 0; write a number above 0"),
        ('{"prompt": "a", "weight": -2}', ":1: weight: is -2; write a number above 0"),
        ('{"prompt": "a", "weight": true}', ":1: weight: is true or false; write a number"),
        ('{"prompt": "a", "weight": null}', ":1: weight: is null; write a number"),
        ('{"prompt": "a", "difficulty": 1.5}', ":1: difficulty: is 1.5; write a number from 0 to 1"),
        ('{"prompt": "a", "params": [1]}', ":1: params: is a list; write an object, in {braces}"),
        (
            '{"prompt": "a", "params": {"model": "b"}}',
            ":1: params: may not hold `model`; the endpoint names the model",
        ),
        ('{"prompt": "a", "format": "json"}', ":1: format: is text; write an object, in {braces}"),
        ('{"prompt": "a", "tools": ["b"]}', ":1: tools[0]: is text; write an object, in {braces}"),
        (
            '{"prompt": "a", "target": ""}',
            ":1: target: is empty; write the expected answer or leave the key out",
        ),
        (
            '{"prompt": "a", "target": []}',
            ":1: target: is empty; write the expected answer or leave the key out",
        ),
        (
            '{"prompt": "a", "target": true}',
            ":1: target: is not text, a number or a list of them; "
            'write other values as text, for example "true"',
        ),
        (
            '{"prompt": "a", "provenance": {"source": "traffik"}}',
            ":1: provenance.source: is not one of file, import, traffic, synthetic, expert; "
            "did you mean 'traffic'?",
        ),
        (
            '{"prompt": "a", "provenance": {"autor": "ann"}}',
            ":1: provenance.autor: is not a known key; did you mean 'author'?",
        ),
        (
            '{"prompt": "a", "provenance": "expert"}',
            ":1: provenance: is text; write an object, in {braces}",
        ),
        (
            '{"prompt": "a", "scorers": "exact"}',
            ':1: scorers: is not a list of scorers; write ["exact"], or leave the key out',
        ),
        (
            '{"prompt": "a", "scorers": []}',
            ':1: scorers: is not a list of scorers; write ["exact"], or leave the key out',
        ),
        (
            '{"prompt": "a", "scorers": [{"json": {}, "exact": {}}]}',
            ':1: scorers[0]: is no scorer; write "name" or {"name": {"parameter": value}}',
        ),
        (
            '{"prompt": "a", "scorers": [{"includes": "b"}]}',
            ':1: scorers[0].includes: takes an object of parameters; write {"includes": {...}}',
        ),
        (
            '{"prompt": "a", "scorers": ["exakt"]}',
            ":1: scorers[0]: no scorer is called `exakt`; "
            "known are: exact, includes, pattern, number, json, json-schema",
        ),
        (
            '{"prompt": "a", "target": "b", "scorers": [{"includes": {"ignore_case": "x"}}]}',
            ":1: scorers[0].includes.ignore_case: is wrong: Input should be a valid boolean, "
            "unable to interpret input; see the parameters of `includes`",
        ),
        (
            '{"prompt": "a", "scorers": ["exact"]}',
            ":1: target: is missing, and `exact` compares with it; "
            "add the expected answer, or scorers that need none",
        ),
        ('{"prompt": "a", "params": {"x": 1e999}}', None),
        ('{"prompt": "a", "params": {"x": NaN}}', None),
        ('{"prompt": "\\ud800"}', None),
        ('{"prompt": "a', None),
        ('{"prompt": "a",}', None),
    ],
)
def test_a_wrong_line_is_told_with_its_place_and_cure(tmp_path, line, said):
    [told] = problems(tmp_path, line)
    if said is None:
        assert told.startswith(":1: is not JSON at column ")
    else:
        assert told == said


def test_a_case_that_inherits_a_comparing_scorer_needs_a_target(tmp_path):
    assert problems(tmp_path, '{"prompt": "a", "target": null}', default="number") == [
        ":1: target: is missing, and `number` compares with it; "
        "add the expected answer, or scorers that need none"
    ]


def test_everything_wrong_in_a_file_is_told_at_once_in_its_order(tmp_path):
    lines = [
        '{"id": "a", "prompt": "1", "weight": -1, "colour": "red"}',
        '{"id": "a", "prompt": "2"}',
        "",
        "[]",
        '{"prompt": "3"}',
        '{"id": "b", "prompt": "3"}',
        '{"prompt": "4", "scorers": ["exact", "nonsense"], "tags": [1]}',
    ]
    assert problems(tmp_path, "\n".join(lines)) == [
        ":1: weight: is -1; write a number above 0",
        f":1: colour: is not a known key; known are: {NAMES}",
        ":2: id: is the same as on line 1; give each case an id of its own",
        ':4: is not an object; write one on each line: {"prompt": "..."}',
        ":6: asks the same as line 5; remove one of them, or give each an `id` of its own",
        ":7: scorers[1]: no scorer is called `nonsense`; "
        "known are: exact, includes, pattern, number, json, json-schema",
        ":7: target: is missing, and `exact` compares with it; "
        "add the expected answer, or scorers that need none",
        ':7: tags[0]: is a number; write text, in "quotes"',
    ]


def test_a_repeated_ask_names_the_first_line_that_asks_it(tmp_path):
    line = json.dumps({"prompt": "same", "target": "x"})
    again = json.dumps({"target": "y", "prompt": "same"})
    assert problems(tmp_path, f"{line}\n\n{again}\n{line}") == [
        ":3: asks the same as line 1; remove one of them, or give each an `id` of its own",
        ":4: asks the same as line 1; remove one of them, or give each an `id` of its own",
    ]


def test_an_id_may_not_be_the_name_that_another_case_gets_by_itself(tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_text('{"prompt": "a"}')
    [case] = read(path)
    assert problems(tmp_path, f'{{"prompt": "a"}}\n{{"id": "{case.id}", "prompt": "b"}}') == [
        ":2: id: is the same as on line 1; give each case an id of its own"
    ]


def test_a_line_that_is_not_utf_8_is_told_and_the_others_are_read_on(tmp_path):
    data = '{"prompt": "a"}\n{"prompt": "caf\u00e9"}\n{}'.encode("latin-1")
    assert problems(tmp_path, data) == [
        ":2: is not UTF-8 at byte 16; save the file as UTF-8",
        ":3: asks nothing; add `prompt` or `messages`",
    ]


@pytest.mark.parametrize("data", [b"", b"\n \r\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_case_is_refused(tmp_path, data):
    assert problems(tmp_path, data) == [
        ': holds no case; write one on each line: {"prompt": "...", "target": "..."}'
    ]


def test_a_utf_16_file_is_one_problem(tmp_path):
    assert problems(tmp_path, '{"prompt": "a"}\n{"prompt": "b"}'.encode("utf-16")) == [
        ": is UTF-16; save it as UTF-8"
    ]


def test_a_missing_file_is_a_problem_of_the_file(tmp_path):
    path = tmp_path / "none.jsonl"
    with pytest.raises(CaseFileInvalid) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path}: cannot be read: No such file or directory; check the path and the permissions"
    )


def test_endless_nesting_is_a_problem_and_no_crash(tmp_path):
    deep = '{"a":' * 1000 + "1" + "}" * 1000
    assert problems(tmp_path, f'{{"prompt": "a", "params": {deep}}}') == [
        ":1: is nested too deeply; flatten it"
    ]


def test_no_problem_quotes_a_prompt_or_a_target(tmp_path):
    secret = "the held-out text"
    lines = [
        {"prompt": secret, "system": [secret], "target": {"a": secret}, "weight": secret},
        {"messages": [{"role": "user", "content": {"text": secret}}, secret], "tags": {"t": secret}},
        {"prompt": secret, "target": [secret, None], "params": secret, "difficulty": [secret]},
    ]
    told = problems(tmp_path, "\n".join(json.dumps(line) for line in lines))
    assert len(told) > 6
    assert secret not in "\n".join(told)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from([*NAMES.split(", "), "role", "content", "x"])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    lines=st.lists(st.dictionaries(keys, values, max_size=5) | values, max_size=4),
    junk=st.binary(max_size=40),
)
def test_any_file_is_either_read_or_refused_with_places(tmp_path, lines, junk):
    path = tmp_path / "cases.jsonl"
    path.write_bytes(b"\n".join([*(json.dumps(line).encode() for line in lines), junk]))
    places: list[int] = []
    cases: tuple[Case, ...] = ()
    try:
        cases = read(path)
    except CaseFileInvalid as invalid:
        places = [problem.line for problem in invalid.problems]
    assert bool(cases) != bool(places)
    assert places == sorted(places)
    assert all(0 <= place <= path.read_bytes().count(b"\n") + 1 for place in places)
    assert len({case.id for case in cases}) == len(cases)
    assert all(len(case.content_hash) == 64 and case.messages for case in cases)
