"""Vectors of an embedder: read from what it said, and the angle between two of them."""

import math
from array import array
from collections.abc import Sequence

#: Numbers in a vector; the longest that are offered have a few thousand.
_MOST_NUMBERS = 16_384


def numbers(value: object) -> list[float]:
    """The numbers of a vector, from a value that somebody else made.

    Raises:
        ValueError: It is not a list of 1 to 16,384 finite numbers; the message says what it is.
    """
    if not isinstance(value, list) or not value:
        raise ValueError("the embedding is not a list of numbers")
    if len(value) > _MOST_NUMBERS:
        raise ValueError(f"the embedding has {len(value)} numbers, more than {_MOST_NUMBERS}")
    if not (set(map(type, value)) <= {float, int} and all(map(math.isfinite, value))):
        raise ValueError("the embedding holds something other than finite numbers")
    return list(map(float, value))


def unit(vector: Sequence[float]) -> "array[float]":
    """The vector of length 1 in the same direction; a vector of zeros has none and stays as it is."""
    peak = max(map(abs, vector))
    if peak == 0:
        return array("d", vector)
    scaled = [each / peak for each in vector]  # else the squares of large numbers would overflow
    length = math.hypot(*scaled)
    return array("d", [each / length for each in scaled])


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of the angle between two vectors of length 1 and of equally many numbers; -1 to 1."""
    product = math.fsum(x * y for x, y in zip(one, other, strict=True))
    return min(1.0, max(-1.0, product))
