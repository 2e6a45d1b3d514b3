"""Hands the keys of each endpoint, channel and scorer to the plugin they belong to."""

from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel

from monitor.config.document import Document
from monitor.config.model import Channel, Endpoint
from monitor.config.problem import Findings, Path, choose, nearest
from monitor.config.service import Heartbeat
from monitor.config.validate import (
    holds_secret,
    known_keys,
    refuse_unknown,
    secret_fields,
    secret_lists,
    validate,
)
from monitor.plugins import Configured, PluginError, Plugins, needs_of

#: The class of one group of plugins.
C = TypeVar("C", bound=Configured)


class _Unusable(BaseModel):
    """Stands for settings that were found wrong, so that the rest of the file is checked as well."""


def fill(document: Document, plugins: Plugins, folder: FilePath) -> None:
    """Replaces the keys of plugins by their validated `settings`; problems become findings."""
    filler = _Filler(document, folder)
    for name, endpoint in _sections(document.data.get("endpoints")):
        filler.split(endpoint, ("endpoints", name), Endpoint, plugins.client)
    alerts = document.data.get("alerts")
    for name, channel in _sections(alerts.get("channels") if isinstance(alerts, dict) else None):
        filler.split(channel, ("alerts", "channels", name), Channel, plugins.notifier)
    heartbeat = alerts.get("heartbeat") if isinstance(alerts, dict) else None
    if isinstance(heartbeat, dict):
        filler.read_twins(Heartbeat, heartbeat, ("alerts", "heartbeat"))
    for name, eval_set in _sections(document.data.get("eval_sets")):
        uses = eval_set.get("scorers") if isinstance(eval_set, dict) else None
        for index, use in enumerate(uses if isinstance(uses, list) else []):
            filler.check_scorer(use, ("eval_sets", name, "scorers", index), plugins)


def read_secret(path: FilePath) -> str:
    """The secret that a file holds, without the line break that editors put at its end.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not UTF-8 text.
    """
    text = path.read_bytes().decode()
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")


class _Filler:
    def __init__(self, document: Document, folder: FilePath) -> None:
        self._document = document
        self._findings: Findings = document.findings
        self._folder = folder

    def split(
        self, section: Any, at: Path, owner: type[BaseModel], find: Callable[[str], Configured]
    ) -> None:
        """Moves every key that is not the owner's into `settings`."""
        if not isinstance(section, dict):
            return
        own = known_keys(owner)
        rest = {key: section.pop(key) for key in list(section) if key not in own}
        section["settings"] = _Unusable()
        kind = section.get("kind")
        if kind is not None:  # a number is a name as well, if an unknown one
            kind = self._document.texts.get((*at, "kind"), kind)
        if isinstance(kind, str) and (plugin := self._find(kind, (*at, "kind"), find)):
            section["settings"] = self._settings(plugin.Settings, rest, at, own) or _Unusable()
        elif kind is None:  # which keys may stand here is not known, but a misspelt `kind` is
            for key in rest:
                if nearest(key, own) == "kind":
                    refuse_unknown(self._findings, at, key, own, section)

    def check_scorer(self, use: Any, at: Path, plugins: Plugins) -> None:
        """Checks a scorer's parameters; they stay as written, for they are part of a case's identity."""
        if isinstance(use, str):
            use = {use: None}
        if not isinstance(use, dict) or len(use) != 1:
            return
        [(kind, params)] = use.items()
        plugin = self._find(kind, at, plugins.scorer)
        if plugin is None or not isinstance(params, dict | None):
            return
        if params is None:
            params, inside = {}, at
        else:
            inside = (*at, kind)
        made = self._validate(plugin.Settings, params, inside, ())
        if made is None:
            return
        needs = needs_of(plugin, made)
        endpoints = [name for name, _ in _sections(self._document.data.get("endpoints"))]
        for name in needs.endpoints:
            if name not in endpoints:
                self._findings.add(
                    inside, f"asks the endpoint '{name}', which is not here", choose(name, endpoints)
                )
        for part, given in needs.scorers:
            self.check_scorer({part: dict(given)}, inside, plugins)

    def _find(self, kind: str, at: Path, find: Callable[[str], C]) -> C | None:
        if self._findings.has(at):
            return None
        try:
            return find(kind)
        except PluginError as error:
            self._findings.add(at, error.what, error.cure)
            return None

    def _settings(
        self, model: type[BaseModel], rest: dict[str, Any], at: Path, own: tuple[str, ...]
    ) -> BaseModel | None:
        twins = self.read_twins(model, rest, at)
        for key in known_keys(model):
            if holds_secret(model, key):
                self._findings.hide(rest.get(key))
        return self._validate(model, rest, at, (*own, *twins))

    def _validate(
        self, model: type[BaseModel], data: dict[str, Any], at: Path, beside: tuple[str, ...]
    ) -> BaseModel | None:
        """Validates strictly, also where a plugin's own model would let unknown keys pass."""
        if model.model_config.get("extra") != "allow":
            known = known_keys(model)
            for key in [key for key in data if key not in known]:
                del data[key]
                refuse_unknown(self._findings, at, key, (*beside, *known), data)
        try:
            return validate(model, data, at, texts=self._document.texts, findings=self._findings)
        except Exception as error:  # a plugin's own check broke; its words may quote a secret
            what = f"cannot be checked, its plugin fails with {type(error).__name__}"
            self._findings.add(at, what, "upgrade the plugin, or tell its author")
            return None

    def read_twins(self, model: type[BaseModel], section: dict[str, Any], at: Path) -> tuple[str, ...]:
        """Puts what files hold in the place of the keys that name them; gives all keys that may name one."""
        lists = secret_lists(model)
        keys = (*secret_fields(model), *lists)
        for key in keys:
            if self._read_twin(key, section, at) and key in lists:
                section[key] = [line.strip() for line in section[key].splitlines() if line.strip()]
        return tuple(f"{key}_file" for key in keys)

    def _read_twin(self, key: str, rest: dict[str, Any], at: Path) -> bool:
        """Whether the key has its value from a file now, the empty one where that cannot be read."""
        twin = f"{key}_file"
        if twin not in rest:
            return False
        path, written = (*at, twin), rest.pop(twin)
        file = self._folder / self._document.texts.get(path, str(written))
        if written is None:
            return False
        if rest.get(key) is not None:
            self._findings.add(path, f"is given beside {key}", "keep one of the two")
            return False
        rest[key] = ""
        try:
            rest[key] = read_secret(file)
        except OSError as error:
            self._findings.add(path, f"cannot read {file} ({error.strerror})", "check the path")
            self._findings.mute((*at, key))  # it is empty only because of that
        except UnicodeDecodeError:
            self._findings.add(path, f"{file} is not UTF-8 text", "save it as UTF-8")
            self._findings.mute((*at, key))
        return True


def _sections(value: Any) -> list[tuple[str, Any]]:
    """The items of a mapping; of anything else none, for that is reported elsewhere."""
    return list(value.items()) if isinstance(value, dict) else []
