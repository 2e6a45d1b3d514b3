"""A period as people write it."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor.period import NotAPeriod, period

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def test_without_a_word_it_is_the_last_24_hours_this_second_included() -> None:
    found = period(NOW)
    assert found.start == NOW - timedelta(hours=24)
    assert found.end > NOW


def test_since_goes_back_from_now() -> None:
    assert period(NOW, since="1h30m").start == NOW - timedelta(minutes=90)


@pytest.mark.parametrize("written", ["2026-03-01T10:00", "2026-03-01T10:00Z", "2026-03-01T11:00+01:00"])
def test_a_time_is_utc_unless_it_names_its_offset(written: str) -> None:
    found = period(NOW, start=written)
    assert (found.start, found.end) == (datetime(2026, 3, 1, 10, tzinfo=UTC), NOW)
    assert period(NOW, start="2026-02-01", end=written).end == datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"since": "90"}, "not a duration"),
        ({"since": "0s"}, "from 1s"),
        ({"since": "99999999d"}, "36500d"),
        ({"since": "1h", "start": "2026-03-01"}, "one of the two"),
        ({"end": "2026-03-01"}, "needs from"),
        ({"start": "yesterday"}, "2026-03-02T12:00"),
        ({"start": "0001-01-01T00:00+14:00"}, "not a time"),
        ({"start": "2026-03-03"}, "exchange"),
        ({"start": "2026-03-01", "end": "2026-03-01"}, "exchange"),
    ],
)
def test_what_is_no_period_names_the_cure(words: dict[str, str], said: str) -> None:
    with pytest.raises(NotAPeriod, match=said):
        period(NOW, **words)
