"""Identifiers that are unique, ordered by time, and what they say they are."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from monitor.ids import RowIds, new_id
from tests.conftest import START

_now = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds it


@given(_now, st.randoms(use_true_random=False))
def test_a_public_id_is_a_uuid_of_version_7_that_carries_its_time(now: datetime, rng: random.Random) -> None:
    prefix, _, rest = new_id("inc", now, rng).partition("_")
    uuid = UUID(rest)
    assert (prefix, uuid.version, uuid.variant) == ("inc", 7, "specified in RFC 4122")
    assert abs(uuid.int >> 80) == int(now.timestamp() * 1000)


def test_public_ids_are_ordered_by_time_and_do_not_repeat() -> None:
    rng = random.Random(1)
    ids = [new_id("rnd", START + timedelta(milliseconds=n), rng) for n in range(500)]
    assert ids == sorted(ids)
    assert len({new_id("rnd", START, rng) for _ in range(5_000)}) == 5_000


@given(st.lists(_now, min_size=1, max_size=30))
def test_row_ids_rise_whatever_the_clock_does_and_fit_a_bigint(times: list[datetime]) -> None:
    ids = RowIds(random.Random(1))
    taken = [ids.take(now) for now in times for _ in range(3)]
    assert all(a < b for a, b in pairwise(taken))
    assert 0 < taken[0] < taken[-1] < 2**63


def test_two_processes_at_the_same_time_take_different_row_ids() -> None:
    one, other = RowIds(random.Random(1)), RowIds(random.Random(2))
    mine = {one.take(START + timedelta(microseconds=n)) for n in range(100)}
    assert not mine & {other.take(START + timedelta(microseconds=n)) for n in range(100)}
