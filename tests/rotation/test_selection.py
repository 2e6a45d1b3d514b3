import random
from collections import Counter, defaultdict
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotation import HELD_OUT, OPEN, DuplicateKey, Exposure, Item, Pool, select
from tests.rotation.build import after, case, cycle, pool, rounds, size, slot

tags = st.sampled_from(["", "a", "b", "c", "d"])
sizes = st.dictionaries(
    st.tuples(st.sampled_from([OPEN, HELD_OUT]), tags), st.integers(1, 12), min_size=1, max_size=8
)
histories = st.randoms(use_true_random=False)


def some_past(of: Pool, rng: random.Random) -> dict[str, Exposure]:
    return {
        item.key: Exposure(asked=rng.randint(1, 3), last=slot(rng.randint(0, 4)))
        for item in of.items
        if rng.random() < 0.7
    }


@settings(max_examples=150, deadline=None)
@given(sizes, histories, st.integers(0, 40))
def test_a_panel_fills_its_budget_without_asking_a_case_twice(layout, rng, budget):
    of = pool(layout)
    panel = select(of, some_past(of, rng), budget, rng)
    keys = [pick.key for pick in panel.picks]
    assert len(keys) == len(set(keys)) == min(budget, len(of))
    assert all(of.by_key[pick.key].split == pick.split for pick in panel.picks)
    assert all(0 < pick.inclusion <= 1 for pick in panel.picks)
    if budget >= len(of):
        assert {pick.inclusion for pick in panel.picks} == {1.0}


@settings(max_examples=150, deadline=None)
@given(sizes, histories, st.integers(1, 40))
def test_a_fifth_is_held_out_and_each_stratum_has_its_share_to_within_one(layout, rng, budget):
    of = pool(layout)
    panel = select(of, some_past(of, rng), budget, rng)
    filled = min(budget, len(of))
    held, opened = size(of, HELD_OUT), size(of, OPEN)
    got = Counter(pick.split for pick in panel.picks)
    low, high = (min(max(n, filled - opened), held) for n in (filled // 5, -(-filled // 5)))
    assert low <= got[HELD_OUT] <= high
    if held and filled >= 5:
        assert got[HELD_OUT] >= 1
    for (split, tag), items in of.strata.items():
        share = Fraction(got[split] * len(items), size(of, split))
        count = sum(pick.split == split and of.by_key[pick.key].tag == tag for pick in panel.picks)
        assert share - 1 < count < share + 1


@settings(max_examples=100, deadline=None)
@given(sizes, histories, st.integers(1, 40))
def test_nobody_in_a_stratum_is_passed_over_for_one_who_was_asked_later(layout, rng, budget):
    of = pool(layout)
    past = some_past(of, rng)
    chosen = {pick.key for pick in select(of, past, budget, rng).picks}

    def last(item: Item) -> float:
        exposure = past.get(item.key)
        return exposure.last.timestamp() if exposure and exposure.last else 0.0

    for items in of.strata.values():
        asked = [last(item) for item in items if item.key in chosen]
        waiting = [last(item) for item in items if item.key not in chosen]
        assert not asked or not waiting or max(asked) <= min(waiting)


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(1, 30), st.integers(0, 10**6))
def test_every_case_comes_within_a_cycle_and_one_round(layout, budget, seed):
    of = pool(layout)
    few = min(budget, len(of)) < 5 and size(of, HELD_OUT) > 0
    budget = budget + 4 if few else budget  # below five seats a held-out case is sure of none
    need = cycle(of, budget)
    count = 4 * max(need.values()) + 4
    seen = dict.fromkeys(of.by_key, -1)
    for number, (panel, _) in enumerate(rounds(of, budget, count, seed)):
        for pick in panel.picks:
            assert number - seen[pick.key] <= need[pick.split] + 1
            seen[pick.key] = number
    assert all(count - last <= need[of.by_key[key].split] + 1 for key, last in seen.items())


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(5, 30), st.integers(0, 10**6))
def test_exposure_stays_even_within_a_stratum(layout, budget, seed):
    of = pool(layout)
    for _, exposures in rounds(of, budget, 5 * max(cycle(of, budget).values()), seed):
        for items in of.strata.values():
            asked = [exposures.get(item.key, Exposure()).asked for item in items]
            assert max(asked) - min(asked) <= 2


def test_a_stratum_of_one_case_in_two_hundred_is_not_starved():
    of = pool({(OPEN, "big"): 159, (OPEN, "tiny"): 1, (HELD_OUT, "big"): 40})
    came = [
        any("tiny" in pick.key for pick in panel.picks)
        for panel, _ in rounds(of, budget=20, count=100, seed=1)
    ]
    assert came.count(True) == 10
    assert all(any(came[start : start + 11]) for start in range(90))


def test_new_cases_come_first_but_do_not_take_the_seats_of_other_strata():
    old = pool({(OPEN, "a"): 40, (OPEN, "b"): 40})
    *_, (_, past) = rounds(old, budget=8, count=20, seed=3)
    grown = pool({(OPEN, "a"): 40, (OPEN, "b"): 120})
    panel = select(grown, past, 8, random.Random(4))
    by_tag = Counter(grown.by_key[pick.key].tag for pick in panel.picks)
    assert by_tag == {"a": 2, "b": 6}
    assert all(pick.key not in past for pick in panel.picks if "-b-" in pick.key)


@pytest.mark.parametrize("budget", [1, 2, 3, 4, 7])
def test_held_out_cases_get_a_fifth_in_expectation_also_where_it_is_no_whole_number(budget):
    of = pool({(OPEN, ""): 30, (HELD_OUT, ""): 10})
    draws = 3000
    held = sum(
        pick.split == HELD_OUT
        for seed in range(draws)
        for pick in select(of, {}, budget, random.Random(seed)).picks
    )
    assert held / draws == pytest.approx(budget / 5, abs=0.04)  # four standard errors


def test_the_first_round_is_proportional_in_expectation():
    layout = {(OPEN, "a"): 17, (OPEN, "b"): 7, (OPEN, "c"): 1, (OPEN, "d"): 2}
    of, draws, budget = pool(layout), 4000, 5
    got = Counter(
        of.by_key[pick.key].tag
        for seed in range(draws)
        for pick in select(of, {}, budget, random.Random(seed)).picks
    )
    for (_, tag), count in layout.items():
        assert got[tag] / draws == pytest.approx(budget * count / len(of), abs=0.035)


LAYOUT = {
    (OPEN, "a"): 9,
    (OPEN, "b"): 4,
    (OPEN, ""): 1,
    (HELD_OUT, "a"): 3,
    (HELD_OUT, "b"): 2,
}


@pytest.mark.parametrize("past_rounds", [0, 1, 2, 3, 5, 8])
@pytest.mark.parametrize("budget", [3, 7, 10])
def test_inclusion_is_the_probability_of_being_picked(past_rounds, budget):
    """Unequal chances, checked one case at a time: the mean of [picked] / inclusion is 1."""
    of = pool(LAYOUT)
    past: dict[str, Exposure] = {}
    for _, past in rounds(of, budget, past_rounds, seed=11):  # noqa: B007 - the last state is wanted
        pass
    draws = 3000
    weighted: defaultdict[str, float] = defaultdict(float)
    stated: dict[str, float] = {}
    for seed in range(draws):
        for pick in select(of, past, budget, random.Random(f"draw {seed}")).picks:
            assert stated.setdefault(pick.key, pick.inclusion) == pick.inclusion  # one state, one probability
            weighted[pick.key] += 1 / pick.inclusion
    assert sum(stated.values()) == pytest.approx(budget)
    for key, inclusion in stated.items():
        error = ((1 / inclusion - 1) / draws) ** 0.5
        assert weighted[key] / draws == pytest.approx(1, abs=4.5 * error + 1e-9)


def test_the_panel_depends_on_the_seed_and_not_on_the_order_of_the_pool():
    of = pool({(OPEN, "a"): 30, (HELD_OUT, "b"): 10})
    turned = Pool(reversed(of.items))
    assert turned == of
    assert select(of, {}, 10, random.Random(5)) == select(turned, {}, 10, random.Random(5))
    assert select(of, {}, 10, random.Random(5)) != select(of, {}, 10, random.Random(6))


def test_among_equals_the_less_often_asked_comes_first():
    of = pool({(OPEN, ""): 3})
    past = {item.key: Exposure(asked=n, last=slot(0)) for item, n in zip(of.items, (5, 4, 5), strict=True)}
    panel = select(of, past, 1, random.Random(1))
    assert [(pick.key, pick.inclusion) for pick in panel.picks] == [(of.items[1].key, 1.0)]


def test_an_exposure_without_a_slot_was_never_asked():
    of = pool({(OPEN, ""): 2})
    past = {of.items[0].key: Exposure(asked=1, last=slot(0)), of.items[1].key: Exposure()}
    [pick] = select(of, past, 1, random.Random(1)).picks
    assert pick.key == of.items[1].key


def test_an_empty_pool_and_an_empty_budget_give_an_empty_panel():
    assert select(Pool([]), {}, 20, random.Random(1)).picks == ()
    assert select(pool({(OPEN, ""): 3}), {}, 0, random.Random(1)).picks == ()


def test_a_negative_budget_is_refused():
    with pytest.raises(ValueError, match="cannot ask -1 cases"):
        select(pool({(OPEN, ""): 3}), {}, -1, random.Random(1))


def test_a_pool_refuses_two_cases_of_one_name_and_says_what_to_do():
    twins = [Item(key="set/x", eval_set="set", case=case("x", text), split=OPEN) for text in ("a", "b")]
    with pytest.raises(
        DuplicateKey, match="two cases are called set/x; give the one in the file an id"
    ) as caught:
        Pool(twins)
    assert caught.value.keys == ("set/x",)


def test_a_round_after_every_round_can_be_drawn_again():
    of = pool(LAYOUT)
    once = [panel for panel, _ in rounds(of, 7, 12, seed=2)]
    again = [panel for panel, _ in rounds(of, 7, 12, seed=2)]
    assert once == again
    state: dict[str, Exposure] = {}
    for number, panel in enumerate(once):
        state = after(state, panel, number)
    assert sum(exposure.asked for exposure in state.values()) == 7 * 12
