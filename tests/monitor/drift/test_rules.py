import math
import random

import pytest

from monitor.drift.rules import ROUNDS_NEEDED, AbsoluteRule, Level, false_alarms, percent_rule
from tests.monitor.drift.streams import main_pool


@pytest.mark.parametrize(
    ("value", "level"),
    [(1.0, Level.FINE), (0.77, Level.FINE), (0.76, Level.WARNING), (0.72, Level.HIGH), (0.0, Level.HIGH)],
)
def test_five_percent_less_warns_and_ten_is_high(value, level):
    assert percent_rule(0.8, higher_is_better=True).judge(value) is level


def test_where_less_is_better_the_limits_lie_above():
    rule = percent_rule(2.0, higher_is_better=False)
    assert [rule.judge(value) for value in (1.0, 2.09, 2.1, 2.21)] == [
        Level.FINE,
        Level.FINE,
        Level.WARNING,
        Level.HIGH,
    ]


def test_a_mean_below_95_percent_fires_in_a_third_of_the_rounds_in_control():
    """The published 325 in 1,000; 4 standard errors are 30 for rounds, and pools differ by some more."""
    rng, levels = random.Random(7), []
    for _ in range(40):
        pool = main_pool(rng)
        rule = percent_rule(sum(pool) / len(pool), higher_is_better=True)
        means = [sum(rng.random() < p for p in rng.sample(pool, 20)) / 20.0 for _ in range(ROUNDS_NEEDED)]
        found = false_alarms(rule, means)
        assert found is not None
        levels.append(found.warnings.share)
    assert sum(levels) / len(levels) == pytest.approx(0.325, abs=0.05)


def test_its_rate_is_told_beside_a_rule():
    rule = AbsoluteRule(warns=5.0, high=9.0, higher_is_better=False)
    found = false_alarms(rule, [9.5, 9.5, 6.0, *[1.0] * 97])
    assert found is not None
    assert found.incidents == 1
    assert found.warnings.low < found.warnings.share == 0.03 < found.warnings.high
    assert found.sentence(rounds_per_day=24.0) == (
        "In 100 rounds in control this rule warned in 30 (10 to 85) and was high in 20 (6 to 70) "
        "of 1,000 rounds: about 7 false incidents per 30 days."
    )


def test_a_rule_that_never_fired_is_not_promised_never_to_fire():
    found = false_alarms(AbsoluteRule(warns=5.0, high=9.0, higher_is_better=False), [1.0] * 400)
    assert found is not None
    assert found.highs.share == 0.0
    assert found.highs.high == pytest.approx(0.0095, abs=0.0005)


def test_few_rounds_give_no_rate():
    rule = AbsoluteRule(warns=5.0, high=9.0, higher_is_better=False)
    assert false_alarms(rule, [1.0] * (ROUNDS_NEEDED - 1)) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="a round's number"):
        percent_rule(1.0, higher_is_better=True).judge(value)


def test_rules_that_cannot_be_meant_are_refused():
    with pytest.raises(ValueError, match="has no percents"):
        percent_rule(0.0, higher_is_better=True)
    with pytest.raises(ValueError, match=r"warns at 10\.0 % and is high at 5\.0 %"):
        percent_rule(1.0, higher_is_better=True, warns=10.0, high=5.0)
    with pytest.raises(ValueError, match=r"warns at 2\.0 and is high at 3\.0"):
        AbsoluteRule(warns=2.0, high=3.0, higher_is_better=True)
