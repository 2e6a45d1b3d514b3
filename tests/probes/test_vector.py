import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.vector import cosine, numbers, unit

ANY = st.floats(min_value=-1e6, max_value=1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)
PAIRS = st.integers(1, 40).flatmap(
    lambda n: st.tuples(st.lists(ANY, min_size=n, max_size=n), st.lists(ANY, min_size=n, max_size=n))
)


@given(PAIRS)
def test_the_cosine_is_numpys(pair: tuple[list[float], list[float]]) -> None:
    one, other = map(np.array, pair)
    length = np.linalg.norm(one) * np.linalg.norm(other)
    expected = one @ other / length if length else 0.0
    assert cosine(unit(pair[0]), unit(pair[1])) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_any_finite_vector_has_length_one_or_is_zero(vector: list[float]) -> None:
    length = math.hypot(*unit(vector))
    assert length == pytest.approx(1.0 if any(vector) else 0.0)
    assert -1.0 <= cosine(unit(vector), unit(vector)) <= 1.0


def test_whole_numbers_are_numbers_too() -> None:
    assert numbers([1, -2, 0.5]) == [1.0, -2.0, 0.5]
    assert len(numbers([0.0] * 16_384)) == 16_384


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "not a list"),
        ("AACAPw==", "not a list"),
        ({"0": 1.0}, "not a list"),
        ([], "not a list"),
        ([[0.1, 0.2]], "other than finite numbers"),
        ([0.1, [0.2]], "other than finite numbers"),
        ([0.1, None], "other than finite numbers"),
        ([0.1, True], "other than finite numbers"),
        ([0.1, "0.2"], "other than finite numbers"),
        ([float("nan")], "other than finite numbers"),
        ([float("-inf")], "other than finite numbers"),
        ([0.0] * 16_385, "16385 numbers"),
    ],
)
def test_what_is_no_vector_is_refused(value: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        numbers(value)
