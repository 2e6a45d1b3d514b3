"""Variables in values."""

import pytest

from monitor.config.environment import substitute

ENVIRON = {"HOST": "example.org", "EMPTY": "", "DOLLAR": "${HOST}"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("https://${HOST}/v1", "https://example.org/v1"),
        ("${HOST}${HOST}", "example.orgexample.org"),
        ("${NONE:-x}", "x"),
        ("${NONE:-}", ""),
        ("${NONE:-a:-b}", "a:-b"),
        ("${EMPTY}", ""),
        ("${EMPTY:-x}", "x"),
        ("$$", "$"),
        ("$${HOST}", "${HOST}"),
        ("$$${HOST}", "$example.org"),
        ("^[0-9]+$", "^[0-9]+$"),
        ("$host", "$host"),
        ("$$HOST", "$HOST"),
        ("costs $HOST", "costs $HOST"),
        ("${DOLLAR}", "${HOST}"),
    ],
)
def test_references_are_filled(text, filled):
    assert substitute(text, ENVIRON) == (filled, [])


def test_a_variable_without_braces_is_not_taken_for_text():
    (wrong,) = substitute("$HOST", ENVIRON)[1]
    assert str(wrong) == "is a variable without braces; write ${HOST}, or $$HOST for the text itself"


def test_every_missing_variable_of_a_value_is_named():
    _, wrongs = substitute("${A}-${HOST}-${B}", ENVIRON)
    assert [wrong.what for wrong in wrongs] == ["${A} is not set", "${B} is not set"]


@pytest.mark.parametrize("text", ["${}", "${1A}", "${A B}", "${A-b}", "${A", "a ${"])
def test_what_only_looks_like_a_reference_is_wrong(text):
    _, wrongs = substitute(text, {"A": "a"})
    assert [wrong.what for wrong in wrongs] == ["has a ${ that is no reference"]
