from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from probes.case import content_hash
from rotation import Diff, Version, diff, next_version

WHEN: dict[str, Any] = {"now": datetime(2026, 3, 1, tzinfo=UTC), "author": "ann", "reason": "sync"}
hashes = st.sets(st.sampled_from([content_hash(i) for i in range(8)]))


def test_the_first_version_has_number_one_and_no_parent_even_without_cases():
    first = next_version(None, [], [], **WHEN)
    assert first is not None
    assert (first.number, first.parent, first.cases, first.author) == (1, None, (), "ann")
    assert first.created == WHEN["now"]


def test_nothing_changed_means_no_version():
    first = next_version(None, ["b", "a"], ["c"], **WHEN)
    assert next_version(first, ["a", "b"], ["c"], **WHEN) is None
    assert next_version(first, ["c", "a"], ["b"], **WHEN) is None


def test_a_grown_case_outlives_a_file_that_loses_everything():
    first = next_version(None, ["a", "b"], ["g"], **WHEN)
    second = next_version(first, [], ["g"], **WHEN)
    assert first is not None
    assert second is not None
    assert (second.number, second.parent, second.cases) == (2, first.hash, ("g",))
    assert diff(first, second) == Diff(added=(), removed=("a", "b"))


def test_a_case_of_both_layers_counts_once_and_goes_when_both_let_it_go():
    first = next_version(None, ["a"], ["a"], **WHEN)
    assert first is not None
    assert first.cases == ("a",)
    assert next_version(first, [], ["a"], **WHEN) is None
    assert next_version(first, [], [], **WHEN) is not None


def test_before_the_first_version_everything_is_added():
    first = next_version(None, ["b", "a"], [], **WHEN)
    assert first is not None
    assert diff(None, first) == Diff(added=("a", "b"), removed=())


@given(st.lists(st.tuples(hashes, hashes), min_size=1))
def test_a_history_is_a_chain_and_every_diff_leads_from_one_to_the_next(layers):
    current: Version | None = None
    for file_cases, grown_cases in layers:
        following = next_version(current, file_cases, grown_cases, **WHEN)
        if following is None:
            assert current is not None
            assert set(current.cases) == file_cases | grown_cases
            continue
        assert grown_cases <= set(following.cases)
        assert following.cases == tuple(sorted(file_cases | grown_cases))
        assert following.hash == content_hash(list(following.cases))
        assert following.number == (current.number + 1 if current else 1)
        assert following.parent == (current.hash if current else None)
        change = diff(current, following)
        before = set(current.cases if current else ())
        assert (before | set(change.added)) - set(change.removed) == set(following.cases)
        current = following
