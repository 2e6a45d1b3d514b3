"""Reads YAML into plain values and remembers on which line each key stands.

Plain words follow YAML 1.2, so `on` and `yes` are text and `1:30` is no number of minutes; tags are refused.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml

from monitor.config.environment import substitute
from monitor.config.problem import ConfigInvalid, Findings, Path, Problem

_PLAIN = "plumbline:plain"


#: To YAML the braces of `{token: ${VAR}}` are its own, so references are written in letters while it reads.
_REFERENCE = re.compile(r"""\$\{([A-Za-z_][A-Za-z0-9_]*(?::-[^{}\n"']*)?)\}""")
_VEILED = re.compile("\ue000((?:[0-9a-f]{2})+)\ue001")


class _Loader(yaml.SafeLoader):
    """Marks unquoted scalars instead of guessing their type: variables are filled in before we guess."""

    yaml_implicit_resolvers = {None: [(_PLAIN, re.compile(""))]}  # noqa: RUF012 (PyYAML's own contract)


#: YAML 1.2's core schema, in the order in which it is tried.
_TYPES: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"~|null|Null|NULL|"), lambda text: None),
    (re.compile(r"true|True|TRUE"), lambda text: True),
    (re.compile(r"false|False|FALSE"), lambda text: False),
    (re.compile(r"[-+]?[0-9]{1,18}"), int),
    (re.compile(r"0x[0-9a-fA-F]{1,15}"), lambda text: int(text, 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A file as values.

    Attributes:
        data: The mapping that the file holds.
        texts: For every unquoted number, truth value or null: how it is written.
        findings: What is wrong so far; knows the lines.
    """

    data: dict[str, Any]
    texts: Mapping[Path, str]
    findings: Findings


def read(path: FilePath, environ: Mapping[str, str]) -> Document:
    """Reads the file, with variables filled in.

    Raises:
        ConfigInvalid: There is no file, or it is not YAML at all. Lesser problems go into `findings`.
    """
    file = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _broken(file, line, "is not UTF-8 text", "save the file as UTF-8") from None
    except OSError as error:
        cure = "write one with `plumbline init`, or name yours with --config"
        raise _broken(file, 0, f"cannot be read ({error.strerror})", cure) from None
    root = _compose(file, text)
    if not isinstance(root, yaml.MappingNode):
        raise _broken(file, 0, "holds no keys", "write one with `plumbline init`")
    reader = _Reader(file, environ)
    return Document(data=reader.value(root, ()), texts=reader.texts, findings=reader.findings)


def _compose(file: str, text: str) -> yaml.Node | None:
    """Parses the text. PyYAML's own messages quote the file, so only their gist is passed on."""
    try:
        return yaml.compose(_REFERENCE.sub(_veil, text), Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        found = _unread(file, error)
    except yaml.YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        found = _broken(file, line, "is not YAML: it holds control characters", "save it as plain text")
    raise found


def _unread(file: str, error: yaml.MarkedYAMLError) -> ConfigInvalid:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    opened = error.context_mark.line + 1 if error.context_mark else line
    gist = re.sub(r" '(?!<)[^']{4,}'", "", error.problem or "cannot be understood")
    if "another document" in gist:
        return _broken(file, line, "holds a second document", "keep one, and take the line `---` out")
    if "unexpected end of stream" in gist:
        return _broken(file, opened, "is not YAML: a quote that opens here has no end", "close it")
    cure = "check indentation, colons and quotes near this line"
    if "'\\t'" in gist:
        cure = "indent with spaces"
    elif "alias" in gist or "cannot start" in gist or "alphabetic" in gist:
        cure = "put quotes around a value that starts with a special character"
    elif error.context in ("while parsing a flow mapping", "while parsing a flow sequence"):
        cure = (
            f"close the bracket that opens on line {opened}, and put quotes around a value that holds a colon"
        )
    return _broken(file, line, f"is not YAML: {gist}", cure)


def _broken(file: str, line: int, what: str, cure: str) -> ConfigInvalid:
    return ConfigInvalid([Problem(file=file, line=line, key="", what=what, cure=cure)])


class _Reader:
    """Walks the nodes of one file."""

    def __init__(self, file: str, environ: Mapping[str, str]) -> None:
        self.texts: dict[Path, str] = {}
        self._lines: dict[Path, int] = {}
        self.findings = Findings(file, self._lines)
        self._environ = environ
        self._open: list[yaml.Node] = []

    def value(self, node: yaml.Node, path: Path) -> Any:
        """The node as a plain value."""
        if any(node is outer for outer in self._open):
            self.findings.add(path, "contains itself", "take the alias away", line=_line(node))
            return None
        self._open.append(node)
        try:
            return self._value(node, path)
        finally:
            self._open.pop()

    def _value(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == yaml.SafeLoader.DEFAULT_MAPPING_TAG:
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == yaml.SafeLoader.DEFAULT_SEQUENCE_TAG:
            items: list[Any] = []
            for index, item in enumerate(node.value):
                self._lines[(*path, index)] = _line(item)
                items.append(self.value(item, (*path, index)))
            return items
        if isinstance(node, yaml.ScalarNode) and node.tag in (_PLAIN, yaml.SafeLoader.DEFAULT_SCALAR_TAG):
            return self._scalar(node, path)
        self.findings.add(path, "has a YAML tag", "take the tag (the word with '!') away")
        return None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for key_node, value_node in sorted(node.value, key=lambda pair: not _merges(pair[0])):
            key, line = _unveiled(key_node), _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                cure = "write a plain word; put quotes around a value that starts with '{' or '['"
                self.findings.add(path, "has a key that is not a word", cure, line=line)
            elif not key.isprintable() or key[:1].isspace():
                cure = "type it anew, with ordinary spaces before it"
                self.findings.add(path, "has a key that holds invisible characters", cure, line=line)
            elif key in seen:
                what = f"is given twice, first on line {seen[key]}"
                self.findings.add((*path, key), what, "keep one", line=line, covers=False)
            elif _merges(key_node):
                merged = self._merge(value_node, path) | merged
            else:
                seen[key] = self._lines[(*path, key)] = line
                own[key] = self.value(value_node, (*path, key))
        return merged | own

    def _merge(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        """What `<<: *anchor` brings in: the first of several wins, the mapping's own keys win over all."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for source in sources:
            value = self.value(source, path)
            if isinstance(value, dict):
                merged = value | merged
            else:
                self.findings.add(
                    (*path, "<<"), "merges what is no mapping", "name a mapping", line=_line(node)
                )
        return merged

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text, wrongs = substitute(_unveiled(node), self._environ)
        for wrong in wrongs:
            self.findings.add(path, wrong.what, wrong.cure)
        if node.tag != _PLAIN:
            return text
        for pattern, read_as in _TYPES:
            if pattern.fullmatch(text):
                self.texts[path] = text
                return read_as(text)
        return text


def _veil(reference: re.Match[str]) -> str:
    return f"\ue000{reference[1].encode().hex()}\ue001"


def _unveiled(node: yaml.Node) -> str:
    return _VEILED.sub(lambda veiled: f"${{{bytes.fromhex(veiled[1]).decode()}}}", str(node.value))


def _merges(key: yaml.Node) -> bool:
    return key.value == "<<" and key.tag == _PLAIN


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
