from typing import Any

import pytest

from probes.clients.path import Path

BODY = {
    "a": {"b": [{"t": " x "}, {"t": "y"}, {"u": 1}]},
    "odd key": {"d.e": 5},
    "inner": '{"answer": {"text": "deep"}}',
    "zero": 0,
    "off": False,
    "null": None,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b[0].t", " x "),
        ("a.b[0].t | strip", "x"),
        ("a.b[-1].u", 1),
        ("a.b[*].t", [" x ", "y"]),
        ("a.b[*].t | join", " x y"),
        ('a.b[*].t|join(" | ")', " x  | y"),
        ("a.b | first | .t | strip", "x"),
        ("a.b | last", {"u": 1}),
        ('["odd key"]["d.e"]', 5),
        ("inner | json | .answer.text", "deep"),
        ("zero", 0),
        ("off", False),
        ('zero | default("x")', 0),
        ('null | default("a b")', "a b"),
        ('gone.away[3].t | strip | default("-")', "-"),
        ("a.b[9]", None),
        ("a.b.t", None),
        ("a[*].t", None),
        ("zero | json", 0),
        ("a.b[0].t | json", None),
        ("zero[0].x | first", None),
    ],
)
def test_a_path_leads_to_its_value(path: str, value: Any) -> None:
    assert Path(path).find(BODY) == value


@pytest.mark.parametrize(
    "path",
    ["", " ", "$.a", "a..b", "a.", "a[", "a[x]", "a[0]b", "a[*]b", "a b", "a |", "| strip", "a || strip", "a | Strip",
     'a | default("x', "a | default", 'a | strip("x")', "a | join(3)", '["a', '["\\x"]'],
)  # fmt: skip
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Path(path)


@pytest.mark.parametrize("value", [None, 5, "text", [], [[[]]], {"a": [None, 5, {"b": "x"}]}])
def test_a_path_breaks_on_nothing(value: Any) -> None:
    for path in ("a.b[0].t", "a.b[*].t | join", "[0][*] | first | strip", "a | json | .b"):
        Path(path).find(value)
