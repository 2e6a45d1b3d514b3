"""Small builders for the tests of this floor."""

import math
import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from probes.case import Case, Message, ScorerSpec
from probes.scorers.structure import JsonSchema, JsonValid
from probes.scorers.text import Exact, Includes, Number, Pattern
from rotation import HELD_OUT, OPEN, Exposure, Item, Panel, Pool, ScorerRefused, read_cases, select
from rotation.split import Split

START = datetime(2026, 3, 1, tzinfo=UTC)

SCORERS: dict[str, Any] = {
    "exact": Exact,
    "includes": Includes,
    "pattern": Pattern,
    "number": Number,
    "json": JsonValid,
    "json-schema": JsonSchema,
}


def known_scorer(kind: str, params: Mapping[str, Any]) -> ScorerSpec:
    if kind not in SCORERS:
        raise ScorerRefused(f"no scorer is called `{kind}`", f"known are: {', '.join(SCORERS)}")
    SCORERS[kind].Settings.model_validate(params)
    return ScorerSpec(kind=kind, params=params, version=SCORERS[kind].version)


def needs_target(spec: ScorerSpec) -> bool:
    return bool(SCORERS[spec.kind].needs_target)


def read(path: Path, default: str = "json") -> tuple[Case, ...]:
    return read_cases(
        path,
        default_scorers=(known_scorer(default, {}),),
        known_scorer=known_scorer,
        needs_target=needs_target,
    )


def case(id: str = "c", text: str = "hello", **fields: Any) -> Case:
    return Case(id=id, messages=(Message(role="user", content=text),), **fields)


Sizes = Mapping[tuple[Split, str], int]


def pool(sizes: Sizes) -> Pool:
    """A pool with so many cases in each (split, first tag)."""
    items = []
    for (split, tag), size in sizes.items():
        for i in range(size):
            one = case(f"{split}-{tag}-{i:04}", tags=(tag,) if tag else ())
            items.append(Item(key=f"set/{one.id}", eval_set="set", case=one, split=split))
    return Pool(items)


def slot(number: int) -> datetime:
    return START + timedelta(minutes=15 * number)


def after(exposures: Mapping[str, Exposure], panel: Panel, number: int) -> dict[str, Exposure]:
    """The exposures once the round of that slot has asked its panel."""
    asked = {
        pick.key: Exposure(asked=exposures.get(pick.key, Exposure()).asked + 1, last=slot(number))
        for pick in panel.picks
    }
    return {**exposures, **asked}


def rounds(of: Pool, budget: int, count: int, seed: int) -> Iterable[tuple[Panel, dict[str, Exposure]]]:
    """Round after round: the panel, and the exposures after it."""
    exposures: dict[str, Exposure] = {}
    for number in range(count):
        panel = select(of, exposures, budget, random.Random(f"{seed}/{number}"))
        exposures = after(exposures, panel, number)
        yield panel, exposures


def size(of: Pool, split: Split) -> int:
    return sum(item.split == split for item in of.items)


def cycle(of: Pool, budget: int) -> dict[Split, int]:
    """How many rounds each split needs at most for one pass, from its sure seats; 0 where it has no cases."""
    held, total = size(of, HELD_OUT), len(of)
    budget = min(budget, total)
    few, many = (
        min(max(seats, budget - (total - held)), held) for seats in (budget // 5, math.ceil(budget / 5))
    )
    return {
        HELD_OUT: math.ceil(held / few) if held else 0,
        OPEN: math.ceil((total - held) / (budget - many)) if total > held else 0,
    }
