"""Durations read and write as people do."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.duration import format, parse
from monitor.config.problem import Wrong


@given(st.integers(min_value=0, max_value=99_999_999 * 86_400))
def test_every_whole_number_of_seconds_survives_the_round_trip(seconds):
    assert parse(format(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@given(st.text(alphabet="0123456789dhms .-", max_size=12))
def test_any_text_is_a_duration_or_wrong_and_nothing_else(text):
    try:
        duration = parse(text)
    except Wrong:
        return
    assert parse(format(duration)) == duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("90s", 90), ("15m", 900), ("1h30m", 5400), ("30d", 2_592_000), ("1d2h3m4s", 93_784)],
)
def test_the_usual_forms(text, seconds):
    assert parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", " ", "90", "1.5h", "500ms", "1h 30m", "30m1h", "-1s", "1H", "1w", "1:30", "٣s", "1s\n"]
)
def test_other_forms_are_refused_with_the_cure(text):
    with pytest.raises(Wrong, match="90s, 15m, 1h30m or 30d"):
        parse(text)


@pytest.mark.parametrize("duration", [timedelta(milliseconds=1), timedelta(seconds=-1)])
def test_only_whole_seconds_from_zero_up_are_written(duration):
    with pytest.raises(ValueError, match="whole seconds"):
        format(duration)
