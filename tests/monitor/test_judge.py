"""Rows in, a round out: what counts, against whom, and how a round has ended."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from monitor.drift.detector import Role
from monitor.judge import (
    WATCHED_RUN_LENGTH,
    Given,
    as_round,
    counts,
    held_against,
    observations,
    round_outcome,
)
from monitor.measures import MEASURES
from probes import ENDPOINT_FAILURES, NETWORK_FAILURES, OURS, Outcome

SLOT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def row(outcome=Outcome.OK, case="s/a", **values):
    plain = {
        "score": 1.0,
        "elapsed": 2.0,
        "first_token": 0.5,
        "between_tokens": 0.1,
        "output_tokens": 7,
        "cost_nano": 5_000,
        "lag": 0.0,
    }
    return SimpleNamespace(case_key=case, outcome=str(outcome), **{**plain, **values})


def values(measure, *rows, uplink_up=True, keys=("s/a", "s/b")):
    seen = observations(MEASURES[measure], rows, uplink_up=uplink_up, keys=dict.fromkeys(keys))
    return [each.value for each in seen]


@pytest.mark.parametrize(
    ("found", "uplink_up", "end"),
    [
        ({"ok": 10}, True, "complete"),
        ({"ok": 9, "server": 1}, True, "complete"),
        ({"refused": 10}, False, "complete"),
        ({"auth": 10}, True, "complete"),
        ({"dns": 10}, True, "complete"),
        ({"ok": 9}, True, "partial"),
        ({}, True, "partial"),
        ({"ok": 9, "rate_limited": 1}, True, "partial"),
        ({"rate_limited": 10}, True, "partial"),
        ({"ok": 9, "loop_lag": 1}, True, "partial"),
        ({"ok": 9, "store_busy": 1}, True, "partial"),
        ({"cancelled": 10}, True, "partial"),
        ({"ok": 9, "no_budget": 1}, True, "partial"),
        ({"no_budget": 10}, True, "no_budget"),
        ({"no_budget": 9, "server": 1}, True, "no_budget"),
        ({"dns": 10}, False, "no_uplink"),
        ({"connect_timeout": 4, "dns": 6}, False, "no_uplink"),
        ({"dns": 1, "ok": 9}, False, "partial"),
        ({"dns": 9, "no_budget": 1}, False, "no_budget"),
    ],
)
def test_a_round_ends_as_its_attempts_say(found, uplink_up, end):
    assert round_outcome(found, 10, uplink_up) == end


def test_only_replies_and_the_endpoints_own_failures_are_held_against_it():
    found = {str(outcome): 1 for outcome in Outcome}
    mine = {"ok"} | {str(each) for each in ENDPOINT_FAILURES}
    assert held_against(found, uplink_up=False).keys() == mine
    assert held_against(found, uplink_up=True).keys() == mine | {str(each) for each in NETWORK_FAILURES}


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.OK])
def test_an_attempt_without_a_reply_has_no_value_of_any_measure_but_errors(outcome):
    for name in MEASURES.keys() - {"errors"}:
        assert values(name, row(outcome)) == []


@pytest.mark.parametrize("outcome", Outcome)
def test_errors_counts_failures_of_the_endpoint_and_nothing_of_ours(outcome):
    failed = outcome in ENDPOINT_FAILURES | NETWORK_FAILURES
    silent = outcome in OURS | {Outcome.RATE_LIMITED, Outcome.AUTH}
    assert values("errors", row(outcome)) == ([] if silent else [float(failed)])


@pytest.mark.parametrize("outcome", sorted(NETWORK_FAILURES))
def test_without_a_proven_network_its_failures_are_nobodys(outcome):
    assert values("errors", row(outcome), row(), uplink_up=False) == [0.0]


def test_every_measure_reads_its_own_column():
    found = {name: values(name, row()) for name in MEASURES}
    assert found == {
        "score": [1.0],
        "errors": [0.0],
        "latency": [2.0],
        "time_to_first_token": [0.5],
        "output_tokens": [7.0],
        "time_per_output_token": [0.1],
        "cost": [5e-6],
    }


def test_what_was_not_seen_has_no_value():
    absent = row(score=None, first_token=None, between_tokens=None, output_tokens=None, cost_nano=None)
    for name in MEASURES.keys() - {"errors", "latency"}:
        assert values(name, absent) == []
    assert values("output_tokens", row(output_tokens=0)) == []
    assert values("time_per_output_token", row(between_tokens=0.0)) == []


def test_a_time_measured_while_we_were_late_ourselves_says_nothing():
    late = row(lag=0.3)
    assert values("latency", late) == []
    assert values("time_to_first_token", late) == []
    assert values("score", late) == [1.0]
    assert values("latency", row(lag=0.1)) == [2.0]


def test_a_case_that_left_the_pool_is_passed_over():
    assert values("score", row(case="s/gone"), row(score=0.5)) == [0.5]


def test_attempts_are_counted_by_outcome():
    assert counts([row(), row(), row(Outcome.DNS)]) == {"ok": 2, "dns": 1}


def test_the_randomness_of_a_round_follows_from_its_slot():
    first, second = (as_round("bot", "quality", SLOT, [], Given()) for _ in range(2))
    other = as_round("bot", "other", SLOT, [], Given(run_length=500.0))
    assert first.rng.random() == second.rng.random()
    assert other.rng.random() != as_round("bot", "quality", SLOT, [], Given()).rng.random()
    assert (first.run_length, other.run_length) == (WATCHED_RUN_LENGTH, 500.0)


def test_what_is_asked_out_of_its_turn_speaks_of_scores_and_failures_only():
    roles = {1: Role.REASK, 2: Role.BURST}
    rows = [row(seq=seq) for seq in range(3)]
    keys = {"s/a": None}

    def seen(measure):
        found = observations(MEASURES[measure], rows, uplink_up=True, keys=keys, roles=roles)
        return [each.role for each in found]

    assert seen("score") == seen("errors") == [Role.REGULAR, Role.REASK, Role.BURST]
    assert seen("latency") == seen("output_tokens") == seen("cost") == [Role.REGULAR]
