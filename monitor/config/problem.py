"""What is wrong with a config: where, what, and the cure.

Exception
├── ConfigInvalid    the file cannot be used; carries every problem that was found
└── Wrong            one value is wrong (raised by validators, reported as a problem)
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Where a value stands in the file: ("endpoints", "support-bot", "model").
Path = tuple[str | int, ...]


class Wrong(ValueError):
    """One value is wrong. `what` goes on after the key; `cure` says what to do. Neither quotes the value.

    `beside` names the key beside it that would do as well: where all is said of that one, this is not told.
    """

    def __init__(self, what: str, cure: str = "", *, beside: str | None = None) -> None:
        super().__init__("; ".join(part for part in (what, cure) if part))
        self.what = what
        self.cure = cure
        self.beside = beside


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One finding. `line` counts from 1; 0 where the whole file is meant, as is an empty `key`."""

    file: str
    line: int
    key: str
    what: str
    cure: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        where = f"{place}: {self.key}" if self.key else place
        return f"{where}: {self.what}; {self.cure}" if self.cure else f"{where}: {self.what}"


class ConfigInvalid(Exception):
    """The config cannot be used. `problems` holds every one of them, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Findings:
    """Gathers the problems of one file. `lines` says where each key stands."""

    def __init__(self, file: str, lines: Mapping[Path, int]) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._lines = lines
        self._paths: set[Path] = set()
        self._secrets: set[str] = set()

    def hide(self, secret: object) -> None:
        """Keeps the text of a secret, or of its items, out of messages, whatever a plugin writes there."""
        if isinstance(secret, dict | list):
            for each in secret.values() if isinstance(secret, dict) else secret:
                self.hide(each)
        elif secret is not None and len(str(secret)) >= 4:  # shorter ones would blot out ordinary words
            self._secrets.add(str(secret))

    def mute(self, path: Path) -> None:
        """Lets nothing more be said of a key whose trouble is told elsewhere."""
        self._paths.add(path)

    def add(
        self, path: Path, what: str, cure: str = "", *, line: int | None = None, covers: bool = True
    ) -> None:
        """Records a problem.

        Args:
            path: The key.
            what: What is wrong with it.
            cure: What to do.
            line: Where it stands; by default the key's line, or else that of the nearest section above.
            covers: Whether later problems of this key, or below it, are only its consequences.
        """
        for secret in sorted(self._secrets, key=len, reverse=True):
            what, cure = what.replace(secret, "**********"), cure.replace(secret, "**********")
        if covers:
            self.mute(path)
        at = self._line(path) if line is None else line
        self.problems.append(Problem(file=self._file, line=at, key=key_of(path), what=what, cure=cure))

    def has(self, path: Path) -> bool:
        """Whether all is said of this very key, or of a section it stands in."""
        return any(path[:length] in self._paths for length in range(1, len(path) + 1))

    def _line(self, path: Path) -> int:
        return next(
            (self._lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self._lines),
            0,
        )


def key_of(path: Path) -> str:
    """The key as people write it: `alerts.routes[0].channel`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if one is near."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def choose(word: str, known: Iterable[str]) -> str:
    """The cure for an unknown word: the nearest known one as a question, or else all that are known."""
    words = list(known)
    near = nearest(word, words)
    if near:
        return f"did you mean '{near}'?"
    return f"known are: {', '.join(words)}" if words else "none is defined"
