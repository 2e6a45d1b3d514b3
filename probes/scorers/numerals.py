"""Reads the number out of a text that a model wrote."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import regex

#: Characters at the wanted end of a reply that are searched; nobody writes the answer behind more than that.
_SEARCHED = 100_000
#: A longer run of digits is not an answer but noise.
_MOST_DIGITS = 400

_MINUS = "-\u2212"
_NUMBER = regex.compile(
    rf"""
    (?P<sign>(?<![\w)\]]) [{_MINUS}+])?
    (?<!\w)(?<!\d\.)
    (?P<digits>
        \d{{1,3}} (?: [,'\u2019\u00a0\u202f] \d{{3}} )+ (?!\d) (?: \.\d+ )?
      | \d++ (?: \.\d+ )?
      | \.\d+
    )
    (?: [eE] (?P<exponent> [{_MINUS}+]? \d+ )
      | \s? [×x*] \s? 10 \s? (?:\^|\*\*) \s? \{{? (?P<power> [{_MINUS}+]? \d+ ) \}}?
    )?
    (?P<percent> \s? [%\u066a] )?
    """,
    regex.VERBOSE,
)
_SEPARATORS = str.maketrans({"\u2212": "-", ",": "", "'": "", "\u2019": "", "\u00a0": "", "\u202f": ""})


@dataclass(frozen=True, slots=True)
class Numeral:
    """A finite number, and whether a percent sign follows it."""

    value: float
    percent: bool

    def readings(self, other: "Numeral") -> Iterator[float]:
        """What it may mean beside the other: 45 % is 45, and .45 too where the other has no percent sign."""
        yield self.value
        if self.percent and not other.percent:
            yield self.value / 100


def read_number(text: str, which: Literal["last", "first"]) -> Numeral | None:
    """The first or last number in the text.

    It reads 1,234.5 and 1'234.5 (a comma or apostrophe before three digits), -3 and −3, 1e5 and 1.2 × 10^5.
    """
    last = None
    for match in _NUMBER.finditer(text[-_SEARCHED:] if which == "last" else text[:_SEARCHED]):
        found = _value(match)
        if found is not None and which == "first":
            return found
        last = found or last
    return last


def _value(match: regex.Match[str]) -> Numeral | None:
    if match.end() - match.start() > _MOST_DIGITS:
        return None
    digits = match["digits"].translate(_SEPARATORS)
    sign = "-" if match["sign"] and match["sign"] in _MINUS else ""
    exponent = (match["exponent"] or match["power"] or "0").translate(_SEPARATORS)
    value = float(f"{sign}{digits}e{exponent}")
    return Numeral(value, match["percent"] is not None) if math.isfinite(value) else None
