"""Finds plugins: entry-point group and kind in, class out. Built-ins are found the same way.

PluginError
├── UnknownKind      nothing registers that name
├── KindTwice        two packages register the same name
├── WrongApi         written for another version of the plugin contract
└── NotLoadable      it cannot be imported, or is not what its group promises
"""

import importlib.metadata
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint
from typing import Any, ClassVar, Literal, Protocol, cast

from pydantic import BaseModel

from alerts.notifier import Notifier
from monitor.config.problem import choose
from monitor.drift.detector import Detector
from probes import API, Client, Needs, Parts, Scorer

#: The groups, without `plumbline.` before them.
Group = Literal["clients", "scorers", "notifiers", "detectors"]


class PluginError(Exception):
    """A plugin cannot be used. `what` says why, `cure` what to do."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what}; {cure}")
        self.what = what
        self.cure = cure


class UnknownKind(PluginError):
    """Nothing registers that name."""


class KindTwice(PluginError):
    """Two packages register the same name."""


class WrongApi(PluginError):
    """It was written for another version of the plugin contract."""


class NotLoadable(PluginError):
    """It cannot be imported, or is not what its group promises."""


class Configured(Protocol):
    """What the classes of clients, scorers and notifiers have in common."""

    api: ClassVar[int]
    Settings: ClassVar[type[BaseModel]]


class ClientClass(Configured, Protocol):
    """A client's class."""

    def __call__(self, settings: Any) -> Client:
        """Makes the client of one endpoint."""
        ...


class ScorerClass(Configured, Protocol):
    """A scorer's class."""

    version: ClassVar[int]
    needs_target: ClassVar[bool]

    def __call__(self, settings: Any, *parts: Parts) -> Scorer:
        """Makes the scorer of one set of parameters; with parts where it has `needs`."""
        ...


def needs_of(scorer: ScorerClass, settings: BaseModel) -> Needs:
    """What a scorer leans on; nothing where its class does not say."""
    needs: Callable[[BaseModel], Needs] | None = getattr(scorer, "needs", None)
    return needs(settings) if needs is not None else Needs()


def make_scorer(scorer: ScorerClass, settings: BaseModel, parts: Parts) -> Scorer:
    """A scorer of this class; one that leans on nothing is made without parts."""
    return scorer(settings, parts) if hasattr(scorer, "needs") else scorer(settings)


class NotifierClass(Configured, Protocol):
    """A notifier's class."""

    def __call__(self, settings: Any) -> Notifier:
        """Makes the notifier of one channel."""
        ...


class DetectorClass(Protocol):
    """A detector's class; it has no settings."""

    api: ClassVar[int]
    version: ClassVar[int]

    def __call__(self) -> Detector:
        """Makes the detector."""
        ...


def _installed(group: str) -> Iterable[EntryPoint]:
    return importlib.metadata.entry_points(group=group)


class Plugins:
    """The plugins of this installation. A class is imported when it is first asked for, and only that one."""

    def __init__(self, entry_points: Callable[[str], Iterable[EntryPoint]] = _installed) -> None:
        self._entry_points = entry_points
        self._groups: dict[str, dict[str, list[EntryPoint]]] = {}
        self._classes: dict[tuple[str, str], Any] = {}

    def client(self, kind: str) -> ClientClass:
        """The class of a client.

        Raises:
            PluginError: See the tree above.
        """
        return cast(ClientClass, self._configured("clients", kind))

    def scorer(self, kind: str) -> ScorerClass:
        """The class of a scorer.

        Raises:
            PluginError: See the tree above.
        """
        return cast(ScorerClass, self._configured("scorers", kind))

    def notifier(self, kind: str) -> NotifierClass:
        """The class of a notifier.

        Raises:
            PluginError: See the tree above.
        """
        return cast(NotifierClass, self._configured("notifiers", kind))

    def detector(self, kind: str) -> DetectorClass:
        """The class of a detector.

        Raises:
            PluginError: See the tree above.
        """
        return cast(DetectorClass, self._class("detectors", kind))

    def kinds(self, group: Group) -> tuple[str, ...]:
        """What is installed in a group, by name; nothing is imported."""
        return tuple(sorted(self._group(group)))

    def _group(self, group: Group) -> dict[str, list[EntryPoint]]:
        if group not in self._groups:
            found: dict[str, list[EntryPoint]] = {}
            for entry_point in self._entry_points(f"plumbline.{group}"):
                found.setdefault(entry_point.name, []).append(entry_point)
            self._groups[group] = found
        return self._groups[group]

    def _configured(self, group: Group, kind: str) -> Any:
        found = self._class(group, kind)
        settings = getattr(found, "Settings", None)
        if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
            what = f"{_called(group, kind)} has no Settings that are a pydantic model"
            raise NotLoadable(what, _REPORT)
        return found

    def _class(self, group: Group, kind: str) -> Any:
        if (group, kind) not in self._classes:
            self._classes[group, kind] = _load(group, kind, self._group(group))
        return self._classes[group, kind]


_REPORT = "upgrade the package, or tell its author"


def _called(group: Group, kind: str) -> str:
    return f"the {group.removesuffix('s')} '{kind}'"


def _package(entry_point: EntryPoint) -> str:
    dist = entry_point.dist
    return f"{dist.name} {dist.version}" if dist is not None else entry_point.module


def _load(group: Group, kind: str, known: Mapping[str, Sequence[EntryPoint]]) -> Any:
    if kind not in known:
        raise UnknownKind(f"no {group.removesuffix('s')} is called '{kind}'", choose(kind, sorted(known)))
    entry_point, *others = known[kind]
    package = _package(entry_point)
    if any(other.value != entry_point.value for other in others):
        packages = ", ".join(sorted(map(_package, known[kind])))
        raise KindTwice(f"{_called(group, kind)} is registered by {packages}", "uninstall all but one")
    try:
        found = entry_point.load()
    except Exception as error:  # an import may raise anything, and must not take the daemon along
        what = f"{_called(group, kind)} of {package} cannot be imported ({type(error).__name__}: {error})"
        raise NotLoadable(what, "reinstall the package or take it out of the config") from error
    if not isinstance(found, type):
        raise NotLoadable(f"{_called(group, kind)} of {package} is no class", _REPORT)
    spoken = getattr(found, "api", None)
    if spoken != API:
        ahead = isinstance(spoken, int) and spoken > API
        what = f"{_called(group, kind)} of {package} has api = {spoken!r}, this Plumbline speaks {API}"
        raise WrongApi(what, "upgrade plumbline" if ahead else f"upgrade {package.split()[0]}")
    return found
