import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.hostile import cut, one_line, plain, width

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\n\tb\u2028c", "a b c"),
        ("\x1b[31mred\x07\x00", "[31mred"),
        ("pay \u202egnp.exe\u202c \u2066x\u2069", "pay gnp.exe x"),
        ("zero\u200bwidth\ufeff\u00ad", "zerowidth"),
        ("family 👩\u200d👧 नि\u200dक", "family 👩\u200d👧 नि\u200dक"),
        ("half \ud83d done", "half done"),
        ("   ", ""),
    ],
)
def test_one_line_keeps_what_can_be_read(text, expected):
    assert one_line(text) == expected


@given(ANY_TEXT, st.integers(2, 40))
def test_a_clean_line_is_short_encodable_and_stays_as_it_is(text, limit):
    line = one_line(text, limit)
    assert width(line) <= limit
    assert line.encode() is not None
    assert "\n" not in line
    assert one_line(line, limit) == line


def test_a_cut_never_falls_inside_an_emoji_or_between_a_letter_and_its_accent():
    assert cut("abc👩\u200d👧", 6) == "abc…"
    assert cut("abce\u0301xyz", 5) == "abc…"
    assert cut("👧👧👧", 4) == "👧…"


@given(
    st.recursive(
        st.none() | st.floats() | st.integers() | ANY_TEXT,
        lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    )
)
def test_facts_become_json_that_any_database_takes(value):
    stored = json.dumps(plain(value), allow_nan=False)
    assert "\\u0000" not in stored
    assert json.loads(stored) == plain(value)
