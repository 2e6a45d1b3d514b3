"""What endpoints say is kept whole where it is kept, and no word of theirs can break a row."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.hostile import one_line
from monitor.config.model import Price
from monitor.results import label, read_reply, reply_row, result_row, storable
from monitor.store import rounds
from monitor.store.engine import Store
from monitor.store.tables import results
from probes import Ask, Outcome, Reply, Result, Score, Timings, Usage
from tests.conftest import START
from tests.monitor.store.build import append, claim, open_round
from tests.rotation.build import case

_text = st.text(st.characters(), max_size=60)  # with NUL and half characters
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_HOSTILE = "a\0b \ud800 \udfff ü \U0001f600 \u202e'; DROP TABLE result; -- {{7*7}} <script>"


def _result(seq: int = 0, **fields: Any) -> Result:
    ask = Ask(seq=seq, case=case(f"c{seq}"), scorers={})
    values: dict[str, Any] = {"started": START, "outcome": Outcome.OK, "elapsed": 0.75}
    return Result(ask=ask, **{**values, **fields})


def _row(result: Result, price: Price | None = None) -> dict[str, Any]:
    pick = {"key": f"basics/c{result.ask.seq}", "split": "open"}
    kept = reply_row(result.reply, START)["hash"] if result.reply else None
    return result_row(claim(), result, row_id=7 + result.ask.seq, pick=pick, price=price, reply_hash=kept)


def test_a_reply_becomes_a_row_with_its_numbers() -> None:
    reply = Reply(
        text="4",
        timings=Timings(total=0.5, first_token=0.1, connect=0.02),
        usage=Usage(input_tokens=1_000, output_tokens=500),
        served_model="m-1-2026",
        finish_reason="stop",
    )
    scores = {
        "exact": Score(value=1.0),
        "json": Score(value=None, reason="scorer_error", explanation="no target"),
    }
    row = _row(_result(reply=reply, scores=scores, lag=0.01), Price(input_per_mtok=1, output_per_mtok=2))
    assert (row["at"], row["round_id"], row["source"], row["case_key"]) == (
        START,
        "rnd_1",
        "quality",
        "basics/c0",
    )
    assert (row["elapsed"], row["first_token"], row["lag"]) == (0.5, 0.1, 0.01), "the client's own total"
    assert (row["input_tokens"], row["served_model"], row["cost_nano"]) == (1_000, "m-1-2026", 2_000_000)
    assert row["scores"] == {
        "exact": {"value": 1.0},
        "json": {"value": None, "reason": "scorer_error", "explanation": "no target"},
    }
    assert row["reply_hash"] == reply_row(reply, START)["hash"]


def test_a_failure_has_no_score_no_text_and_no_cost() -> None:
    row = _row(
        _result(outcome=Outcome.TIMEOUT, detail="no whole reply within 60 s"),
        Price(input_per_mtok=1, output_per_mtok=1),
    )
    assert (row["outcome"], row["elapsed"]) == ("timeout", 0.75)
    empty = ("score", "reply_hash", "cost_nano", "served_model", "first_token", "input_tokens")
    assert [row[name] for name in empty] == [None] * len(empty)
    assert row["scores"] == {}


def test_every_kind_of_attempt_makes_a_row_of_the_same_shape() -> None:
    rows = [
        _row(_result(outcome=Outcome.RESET)),
        _row(_result(reply=Reply(text="x", timings=Timings(total=1.0)))),
    ]
    assert rows[0].keys() == rows[1].keys() <= set(results.c.keys())


async def test_no_word_of_an_endpoint_breaks_its_row(store: Store) -> None:
    reply = Reply(
        text=_HOSTILE,
        timings=Timings(total=0.5),
        served_model=_HOSTILE,
        fingerprint=_HOSTILE,
        finish_reason=_HOSTILE,
        tool_calls=({"name": _HOSTILE, _HOSTILE: [_HOSTILE]},),
    )
    score = Score(value=0.0, explanation=_HOSTILE, evidence={_HOSTILE: [_HOSTILE, 1, None]})
    told = [
        _result(0, reply=reply, scores={"exact": score}),
        _result(1, outcome=Outcome.SERVER, detail=_HOSTILE),
    ]
    of = claim(panel=[])
    await open_round(store, of)
    await append(store, of, [_row(each) for each in told], [reply_row(reply, START)])
    async with store.read() as connection:
        first, second = await rounds.load_results(connection, of)
    word, clean = label(_HOSTILE), storable(_HOSTILE)
    assert (first.served_model, first.finish_reason, second.detail) == (word, word, word)
    assert first.scores["exact"]["evidence"] == {one_line(clean, 60): [one_line(clean), 1, None]}
    assert first.scores["exact"]["explanation"] == one_line(_HOSTILE)
    assert clean.startswith("a\ufffdb ? ? ü \U0001f600 \u202e'; DROP")
    assert word == "ab   ü \U0001f600 '; DROP TABLE result; -- {{7*7}} <script>"


@given(_json)
def test_what_is_storable_is_what_both_databases_take(value: Any) -> None:
    text = json.dumps(storable(value), ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()  # no half characters
    assert storable(storable(value)) == storable(value)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_an_ordinary_text_is_stored_as_it_is(text: str) -> None:
    assert storable(text) == text


def test_a_word_of_an_endpoint_is_short_and_printable_or_none_at_all() -> None:
    assert label(None) is label("") is label("\n\0\ud800") is None
    assert label("m-1\n") == "m-1"
    assert label("x" * 10**6) == "x" * 200


@given(_text, st.lists(st.dictionaries(_text, _json, max_size=3), max_size=2))
def test_a_kept_reply_comes_back_to_the_last_character(text: str, calls: list[dict[str, Any]]) -> None:
    reply = Reply(text=text, timings=Timings(total=1.0), tool_calls=tuple(calls))
    row = reply_row(reply, START)
    assert read_reply(row["body"]) == (text, tuple(calls))


def test_equal_replies_are_kept_once_and_different_ones_apart() -> None:
    def kept(text: str, *calls: Any) -> str:
        made: str = reply_row(Reply(text=text, timings=Timings(total=1.0), tool_calls=calls), START)["hash"]
        return made

    assert kept("a", {"x": 1, "y": 2}) == kept("a", {"y": 2, "x": 1})
    assert len({kept("a"), kept("b"), kept("a", {"x": 1}), kept("", {"x": 1})}) == 4


@pytest.mark.parametrize("text", ["", "x" * 200_000])
def test_a_long_text_is_kept_small(text: str) -> None:
    assert len(reply_row(Reply(text=text, timings=Timings(total=1.0)), START)["body"]) < 2_000
