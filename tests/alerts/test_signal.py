from dataclasses import replace

import pytest

from alerts.signal import Severity
from tests.alerts.build import START, latency, signal


def test_severities_are_ordered():
    assert max(Severity, key=lambda each: each.rank) is Severity.CRITICAL
    assert Severity.INFO.rank < Severity.WARNING.rank


def test_a_changed_team_label_is_still_the_same_matter():
    assert signal(team="a").fingerprint == signal(team="b").fingerprint


@pytest.mark.parametrize("labels", [{"endpoint": "x"}, {"source": "x"}, {"measure": "x"}, {"slice": "x"}])
def test_another_thing_has_another_fingerprint(labels):
    assert signal(**labels).fingerprint != signal().fingerprint


def test_another_name_has_another_fingerprint():
    assert latency(measure="score").fingerprint != signal().fingerprint


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_is_finite_or_none(value):
    with pytest.raises(ValueError, match="finite or None"):
        signal(value)


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValueError, match="no zone"):
        replace(signal(), at=START.replace(tzinfo=None))
