import math

import pytest

from monitor.drift.budget import added_sentence, run_lengths, sentence, share_sentence


def test_every_stream_gets_an_equal_share_in_its_own_rounds():
    found = run_lengths({"score": 96.0, "latency": 96.0, "daily": 1.0}, at_most=1.0, per_days=30.0)
    assert found == {"score": 96.0 * 90.0, "latency": 96.0 * 90.0, "daily": 90.0}


def test_the_shares_add_up_to_the_budget():
    streams = {f"stream-{index}": 1.0 + index for index in range(42)}
    found = run_lengths(streams, at_most=2.0, per_days=30.0)
    alarms = sum(30.0 * streams[name] / found[name] for name in streams)
    assert alarms == pytest.approx(2.0)


def test_no_budget_makes_every_round_an_alarm():
    assert run_lengths({"weekly": 1 / 7}, at_most=100.0, per_days=30.0) == {"weekly": 10.0}


def test_no_streams_need_no_budget():
    assert run_lengths({}, at_most=1.0, per_days=30.0) == {}


@pytest.mark.parametrize(
    ("streams", "at_most", "per_days", "named"),
    [
        ({"a": 96.0}, 0.0, 30.0, "at_most"),
        ({"a": 96.0}, 1.0, math.inf, "per_days"),
        ({"a": 0.0}, 1.0, 30.0, "stream 'a'"),
    ],
)
def test_a_number_that_is_not_positive_is_named(streams, at_most, per_days, named):
    with pytest.raises(ValueError, match=named):
        run_lengths(streams, at_most, per_days)


def test_the_budget_is_told_in_words():
    assert sentence(42, 6, at_most=1.0, per_days=30.0, replayed=(0.4, 0.1, 1.2)) == (
        "Budget: 1 false incident per 30 days, over 42 streams on 6 endpoints. "
        "By chance 37 % of months have none, 37 % one, 26 % more. "
        "Each endpoint may raise one in 180 days; its streams share that, in hours, not in rounds. "
        "This is an upper figure: signals of one endpoint move together; "
        "replaying your last 30 days gave 0.4 (0.1 to 1.2)."
    )


def test_without_a_replay_none_is_told():
    assert sentence(42, 6, at_most=1.0, per_days=30.0).endswith("signals of one endpoint move together.")


def test_other_spans_and_single_things_are_told_right():
    assert sentence(streams=1, endpoints=1, at_most=0.5, per_days=7.0).startswith(
        "Budget: 0.5 false incidents per 7 days, over 1 stream on 1 endpoint. "
        "By chance 61 % of such spans have none, 30 % one, 9 % more. Each endpoint may raise one in 14 days"
    )


def test_a_share_is_told_in_words():
    assert share_sentence("Daily probe", share=0.147, run_length=204.0, days=9.1, equal_days=16.2) == (
        "Daily probe: 14.7 % of the budget, one false alarm in 204 rounds; "
        "a 5-point drop is seen in about 9 days. An equal share would make it 16."
    )


def test_added_and_removed_streams_are_told_in_words():
    assert added_sentence(3, "14:20", rise=0.07, rounds=0.2) == (
        "3 streams added at 14:20: every threshold rose by 0.07, about 0.2 rounds on a 5-point drop."
    )
    assert added_sentence(-1, "14:20", rise=-0.07, rounds=-0.2) == (
        "1 stream removed at 14:20: every threshold fell by 0.07, about 0.2 rounds on a 5-point drop."
    )
