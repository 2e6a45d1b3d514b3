"""The active cases that one probe may ask, and how often each was asked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import Self

from probes.case import Case
from rotation.errors import DuplicateKey
from rotation.split import Split, family_of, split_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A case in its place: `key` is `<eval set>/<case id>`, unique in a pool."""

    key: str
    eval_set: str
    case: Case
    split: Split

    @classmethod
    def of(cls, eval_set: str, case: Case, split_key: bytes) -> Self:
        """The item of a case of an eval set, on the side that the store's secret key gives it."""
        return cls(
            key=f"{eval_set}/{case.id}",
            eval_set=eval_set,
            case=case,
            split=split_of(family_of(case), split_key),
        )

    @property
    def tag(self) -> str:
        """The first tag, which with the split makes the stratum; empty where the case has none."""
        return self.case.tags[0] if self.case.tags else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposure:
    """How often one probe asked a case, and the slot at which it last did. All times are aware UTC."""

    asked: int = 0
    last: datetime | None = None


@dataclass(frozen=True)
class Pool:
    """The active cases of the eval sets that one probe may ask, in the order of their keys.

    Raises:
        DuplicateKey: Two cases of one eval set have the same id.
    """

    items: tuple[Item, ...]

    def __init__(self, items: Iterable[Item]) -> None:
        ordered = tuple(sorted(items, key=lambda item: item.key))
        object.__setattr__(self, "items", ordered)
        twice = [a.key for a, b in pairwise(ordered) if a.key == b.key]
        if twice:
            raise DuplicateKey(tuple(dict.fromkeys(twice)))

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def by_key(self) -> Mapping[str, Item]:
        """Each item under its key."""
        return {item.key: item for item in self.items}

    @cached_property
    def strata(self) -> Mapping[tuple[Split, str], tuple[Item, ...]]:
        """The items of each (split, first tag), in the order of their keys."""
        found: dict[tuple[Split, str], list[Item]] = {}
        for item in self.items:
            found.setdefault((item.split, item.tag), []).append(item)
        return {name: tuple(found[name]) for name in sorted(found)}
