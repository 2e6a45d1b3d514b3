"""What a log line looks like."""

import io
import json
import logging

import pytest

from monitor import logs


@pytest.fixture
def lines():
    handlers, level = logging.root.handlers[:], logging.getLogger("plumbline").level
    stream = io.StringIO()

    def begin(form):
        logs.set_up(form, stream=stream)
        return stream

    yield begin
    logging.captureWarnings(False)
    logging.root.handlers[:] = handlers
    logging.getLogger("plumbline").setLevel(level)


def test_a_line_for_people_has_the_time_the_level_where_it_matters_and_indented_rest(lines):
    stream = lines(logs.Form.TEXT)
    logging.getLogger("plumbline").info("plain")
    logging.getLogger("plumbline.alert").warning("first\n  second")
    plain, first, second = stream.getvalue().splitlines()
    assert plain[8:] == " plain"
    assert first[8:] == " warning: first"
    assert second == "      second"


def test_control_characters_do_not_reach_the_terminal(lines):
    stream = lines(logs.Form.TEXT)
    logging.getLogger("plumbline").info("served %s", "\x1b[2Jmodel\u202e")
    assert stream.getvalue()[8:] == " served \\u001b[2Jmodel\\u202e\n"


def test_a_line_for_programs_is_one_object(lines):
    stream = lines(logs.Form.JSON)
    try:
        raise ValueError("x")
    except ValueError:
        logging.getLogger("plumbline.round").exception("failed:\n%s", "y")
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert (said["level"], said["logger"], said["message"]) == ("error", "plumbline.round", "failed:\ny")
    assert "ValueError: x" in said["exception"]


def test_libraries_are_heard_from_warnings_on_only(lines):
    stream = lines(logs.Form.TEXT)
    logging.getLogger("sqlalchemy.engine").info("SELECT secret")
    assert stream.getvalue() == ""
