"""Errors of the floor that decides which cases come next.

RotationError
├── CaseFileInvalid    case files cannot be used; carries every problem that was found
├── ScorerRefused      no such scorer, or its parameters are wrong (raised by the caller's `known_scorer`)
└── DuplicateKey       two cases of one eval set have the same id, so a pool cannot hold both
"""

from collections.abc import Iterable
from dataclasses import dataclass


class RotationError(Exception):
    """Base of everything this floor raises on purpose."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseProblem:
    """One finding in a case file. `line` counts from 1; 0 is the file. An empty `key` is the line.

    `what` goes on after the key; `cure` says what to do. Neither quotes a prompt or a target.
    """

    file: str
    line: int
    key: str
    what: str
    cure: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        where = f"{place}: {self.key}" if self.key else place
        return f"{where}: {self.what}; {self.cure}" if self.cure else f"{where}: {self.what}"


class CaseFileInvalid(RotationError):
    """Case files cannot be used. `problems` holds every one of them, by file and line."""

    def __init__(self, problems: Iterable[CaseProblem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.file, problem.line)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ScorerRefused(RotationError):
    """No such scorer, or its parameters are wrong. `what` says why, `cure` what to do."""

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__("; ".join(part for part in (what, cure) if part))
        self.what = what
        self.cure = cure


class DuplicateKey(RotationError):
    """Two cases of one eval set have the same id, mostly one from its file and one that it has grown."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        super().__init__(
            f"two cases are called {', '.join(keys)}; "
            "give the one in the file an id of its own, or retire the other"
        )
        self.keys = keys
