import orjson
import pytest

from probes.clients.sse import EventBuffer, LineBuffer

TEXT = (
    'data: {"a": "é漢🙂"}\n\n: keep-alive\n\nevent: x\ndata:{"b": 2}\r\n\r\n'
    "data: one\ndata: two\n\ndata: [DONE]\n\n"
).encode()
EVENTS = ['{"a": "é漢🙂"}'.encode(), b'{"b": 2}', b"one\ntwo", b"[DONE]"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16, 1000])
def test_events_are_the_same_however_the_bytes_were_cut(size: int) -> None:
    buffer = EventBuffer()
    chunks = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    assert [event for chunk in chunks for event in buffer.feed(chunk)] == EVENTS
    assert buffer.end() == []


def test_comments_and_other_fields_are_passed_over() -> None:
    assert EventBuffer().feed(b": hello\n\nid: 1\nretry: 5\n\n\n\n") == []


def test_a_last_event_without_its_empty_line_comes_at_the_end() -> None:
    buffer = EventBuffer()
    assert buffer.feed(b"data: [DONE]") == []
    assert buffer.end() == [b"[DONE]"]


def test_an_empty_data_field_is_an_event() -> None:
    assert EventBuffer().feed(b"data:\n\n") == [b""]


def test_lines_come_whole_however_they_were_cut() -> None:
    body = b'{"a": 1}\r\n\n{"b": "\xc3\xa9"}\n{"c": 3}'
    for size in (1, 2, 5, len(body)):
        buffer = LineBuffer()
        lines = [
            line for at in range(0, len(body), size) for line in buffer.feed(body[at : at + size])
        ] + buffer.end()
        assert [orjson.loads(line) for line in lines] == [{"a": 1}, {"b": "é"}, {"c": 3}]
