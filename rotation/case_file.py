"""Reads a case file: JSON Lines, one case on each line. Every problem of a file is reported at once."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from probes.case import Case, ScorerSpec, ask_hash
from rotation.case_line import CaseFields, Finding, explain, findings, key_of
from rotation.errors import CaseFileInvalid, CaseProblem, ScorerRefused

_BOM = b"\xef\xbb\xbf"
_ID_LENGTH = 16
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def _as_written(kind: str, params: Mapping[str, Any]) -> ScorerSpec:
    return ScorerSpec(kind=kind, params=params)


def _never(spec: ScorerSpec) -> bool:
    return False


def read_cases(
    path: Path,
    *,
    default_scorers: tuple[ScorerSpec, ...],
    known_scorer: Callable[[str, Mapping[str, Any]], ScorerSpec] = _as_written,
    needs_target: Callable[[ScorerSpec], bool] = _never,
) -> tuple[Case, ...]:
    """Reads the cases of an eval set's file layer, in the order of the file.

    Without the two callables only the shape of the file is checked: scorers are taken as they are written.

    Args:
        path: A JSON Lines file in UTF-8; blank lines and a byte order mark are skipped.
        default_scorers: The eval set's scorers, for cases that name none.
        known_scorer: Checks a scorer's kind and parameters and fills in its version. It raises ScorerRefused,
            or the ValidationError of the scorer's settings; either becomes a problem of the line.
        needs_target: Whether a scorer compares with a target.

    Raises:
        CaseFileInvalid: The file cannot be used; it carries every problem.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _invalid(
            path, f"cannot be read: {error.strerror}", "check the path and the permissions"
        ) from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _invalid(path, "is UTF-16", "save it as UTF-8")
    reading = _Reading(str(path), _Scorers(default_scorers, known_scorer, needs_target))
    # Not str.splitlines: a JSON text may hold U+2028, which is no end of a line here.
    for number, line in enumerate(data.removeprefix(_BOM).split(b"\n"), start=1):
        if line.strip():
            reading.read(number, line)
    if not reading.cases and not reading.problems:
        raise _invalid(path, "holds no case", 'write one on each line: {"prompt": "...", "target": "..."}')
    if reading.problems:
        raise CaseFileInvalid(reading.problems)
    return tuple(reading.cases)


def _invalid(path: Path, what: str, cure: str) -> CaseFileInvalid:
    return CaseFileInvalid([CaseProblem(file=str(path), line=0, key="", what=what, cure=cure)])


@dataclass(frozen=True)
class _Scorers:
    default: tuple[ScorerSpec, ...]
    known: Callable[[str, Mapping[str, Any]], ScorerSpec]
    needs_target: Callable[[ScorerSpec], bool]

    def of(self, written: Any, found: list[Finding]) -> tuple[ScorerSpec, ...]:
        """A case's own scorers, or those of its eval set; what is wrong with them is added to `found`."""
        if written is None:
            return self.default
        if not isinstance(written, list) or not written:
            found.append(
                Finding("scorers", "is not a list of scorers", 'write ["exact"], or leave the key out')
            )
            return ()
        return tuple(spec for i, one in enumerate(written) for spec in self._one(one, f"scorers[{i}]", found))

    def _one(self, written: Any, key: str, found: list[Finding]) -> tuple[ScorerSpec, ...]:
        uses = {written: None} if isinstance(written, str) else written
        if not isinstance(uses, dict) or len(uses) != 1:
            found.append(Finding(key, "is no scorer", 'write "name" or {"name": {"parameter": value}}'))
            return ()
        [(kind, params)] = uses.items()
        if not isinstance(params, dict | None):
            found.append(
                Finding(f"{key}.{kind}", "takes an object of parameters", f'write {{"{kind}": {{...}}}}')
            )
            return ()
        try:
            return (self.known(kind, params or {}),)
        except ScorerRefused as error:
            found.append(Finding(key, error.what, error.cure))
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                place = key_of((f"{key}.{kind}", *detail["loc"]))
                found.append(Finding(place, f"is wrong: {detail['msg']}", f"see the parameters of `{kind}`"))
        return ()


@dataclass
class _Reading:
    """What the lines so far have brought."""

    file: str
    scorers: _Scorers
    cases: list[Case] = field(default_factory=list)
    problems: list[CaseProblem] = field(default_factory=list)
    _ids: dict[str, int] = field(default_factory=dict)
    _asks: dict[str, tuple[int, bool]] = field(default_factory=dict)

    def read(self, number: int, line: bytes) -> None:
        """Takes one line: a case, or problems."""
        found: list[Finding] = []
        try:
            raw = _parse(line, found)
            case = self._case(number, raw, found) if raw is not None else None
        except RecursionError:
            found, case = [Finding("", "is nested too deeply", "flatten it")], None
        if case is not None and not found:
            self.cases.append(case)
        self.problems += [
            CaseProblem(file=self.file, line=number, key=key, what=what, cure=cure)
            for key, what, cure in found
        ]

    def _case(self, number: int, raw: dict[str, Any], found: list[Finding]) -> Case | None:
        found += findings(raw)
        scorers = self.scorers.of(raw.get("scorers"), found)
        if raw.get("target") is None and (needy := [s.kind for s in scorers if self.scorers.needs_target(s)]):
            cure = "add the expected answer, or scorers that need none"
            found.append(Finding("target", f"is missing, and `{needy[0]}` compares with it", cure))
        try:
            fields = CaseFields.model_validate(raw)
        except ValidationError as error:
            found += explain(error)
            fields = None
        own = raw.get("id") if isinstance(raw.get("id"), str) else None
        case = None if found or fields is None else _build(fields, scorers)
        self._once(number, own, case, found)
        return case

    def _once(self, number: int, own: str | None, case: Case | None, found: list[Finding]) -> None:
        """Refuses an id that an earlier line has; its ask too, unless both lines have ids of their own."""
        if case is not None:
            line, named = self._asks.setdefault(case.ask_hash, (number, own is not None))
            if line != number and not (named and own is not None):
                cure = "remove one of them, or give each an `id` of its own"
                found.append(Finding("", f"asks the same as line {line}", cure))
                return
        name = own if case is None else case.id
        if name is not None and (line := self._ids.setdefault(name, number)) != number:
            found.append(Finding("id", f"is the same as on line {line}", "give each case an id of its own"))


def _parse(line: bytes, found: list[Finding]) -> dict[str, Any] | None:
    try:
        text = line.decode()
        raw = orjson.loads(text)
    except UnicodeDecodeError as error:
        found.append(Finding("", f"is not UTF-8 at byte {error.start + 1}", "save the file as UTF-8"))
        return None
    except orjson.JSONDecodeError as error:
        found.append(
            Finding("", f"is not JSON at column {error.colno}: {error.msg}", "write one object on each line")
        )
        return None
    if not isinstance(raw, dict):
        found.append(Finding("", "is not an object", 'write one on each line: {"prompt": "..."}'))
        return None
    if _NUL.search(text):  # JSON holds the character in no other way, and PostgreSQL stores it in none
        found.append(Finding("", "holds a NUL character (\\u0000)", "remove it"))
        return None
    if _holds_number(raw.get("target")):  # 1.50 is an answer as it is written, not the number 1.5
        raw["target"] = json.loads(text, parse_int=str, parse_float=str)["target"]
    return raw


def _holds_number(target: object) -> bool:
    return any(type(answer) in (int, float) for answer in (target if isinstance(target, list) else [target]))


def _build(fields: CaseFields, scorers: tuple[ScorerSpec, ...]) -> Case:
    messages, tools = fields.conversation(), tuple(fields.tools)
    return Case(
        id=fields.id or ask_hash(messages, tools, fields.format, fields.params)[:_ID_LENGTH],
        messages=messages,
        target=tuple(fields.target) if isinstance(fields.target, list) else fields.target,
        tools=tools,
        format=fields.format,
        params=fields.params,
        scorers=scorers,
        tags=tuple(dict.fromkeys(fields.tags)),
        weight=fields.weight,
        difficulty=fields.difficulty,
        metadata=fields.metadata,
        family=fields.family,
        provenance=fields.provenance.provenance(),
    )
