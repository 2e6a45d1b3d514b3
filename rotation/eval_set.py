"""Immutable versions of an eval set. A version lists the cases of its two layers, file and grown."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from probes.case import content_hash


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """One state of an eval set, for ever.

    Attributes:
        number: 1, 2, 3, ... within the eval set.
        hash: Identity of the list of cases; equal for two versions with the same cases.
        parent: The hash of the version before; None for the first.
        cases: The content hashes of the active cases of both layers, sorted.
        created: When, in aware UTC.
        author: Who made it: a person, or the daemon that read a changed file.
        reason: Why, in a few words.
    """

    number: int
    hash: str
    parent: str | None
    cases: tuple[str, ...]
    created: datetime
    author: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Diff:
    """What one version has that the other has not: content hashes, sorted."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


def next_version(
    current: Version | None,
    file_cases: Iterable[str],
    grown_cases: Iterable[str],
    now: datetime,
    author: str,
    reason: str,
) -> Version | None:
    """The version after the layers became what they are now; None where nothing changed.

    The layers are given apart, so reading a file can never drop a grown case: whoever syncs a file hands the
    grown layer on as it stands. A case that stands in both layers counts once and goes only when both let it
    go.

    Args:
        current: The newest version; None before the first, which is made even when there are no cases.
        file_cases: Content hashes of the cases in the file.
        grown_cases: Content hashes of the accepted cases that no person has retired.
        now: Becomes `created`.
        author: See `Version`.
        reason: See `Version`.
    """
    cases = tuple(sorted({*file_cases, *grown_cases}))
    if current is not None and current.cases == cases:
        return None
    return Version(
        number=current.number + 1 if current else 1,
        hash=content_hash(list(cases)),
        parent=current.hash if current else None,
        cases=cases,
        created=now,
        author=author,
        reason=reason,
    )


def diff(a: Version | None, b: Version) -> Diff:
    """What changed from `a` to `b`; `a` is None for what came before the first version."""
    before, after = set(a.cases if a else ()), set(b.cases)
    return Diff(added=tuple(sorted(after - before)), removed=tuple(sorted(before - after)))
