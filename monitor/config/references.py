"""Checks that every name which one section mentions is defined in another.

It reads the plain values, so that it finds its problems also in a file that has others.
"""

from collections.abc import Iterator
from typing import Any

from monitor.config.problem import Findings, Path, choose


def check(data: dict[str, Any], findings: Findings) -> None:
    """Reports unknown endpoints, eval sets and channels, and old names that are still in use."""
    for name, probe in _sections(data, "probes"):
        at = ("probes", name)
        _check_endpoint(data, probe.get("endpoint"), (*at, "endpoint"), findings)
        for path, word in _words(probe.get("eval_sets"), (*at, "eval_sets")):
            _known(word, path, "eval set", _names(data, "eval_sets"), findings)
    _check_channels(data, findings)
    for section in ("endpoints", "eval_sets", "probes"):
        _check_old_names(data, section, findings)


def _check_endpoint(data: dict[str, Any], endpoint: Any, path: Path, findings: Findings) -> None:
    if isinstance(endpoint, dict):
        if endpoint and not any(_carries(each, endpoint) for _, each in _sections(data, "endpoints")):
            findings.add(path, "matches no endpoint", "compare it with endpoints.*.labels")
        return
    for place, word in _words(endpoint, path):
        _known(word, place, "endpoint", _names(data, "endpoints"), findings)


def _carries(endpoint: dict[str, Any], wanted: dict[str, Any]) -> bool:
    labels = endpoint.get("labels")
    return isinstance(labels, dict) and wanted.items() <= labels.items()


def _check_channels(data: dict[str, Any], findings: Findings) -> None:
    alerts = data.get("alerts")
    if not isinstance(alerts, dict):
        return
    channels = _names(alerts, "channels")
    default = alerts.get("default_channel")
    for path, word in _words(default, ("alerts", "default_channel")):
        _known(word, path, "channel", channels, findings)
    if default is None and len(channels) > 1:
        findings.add(
            ("alerts", "default_channel"), "is missing", f"name one of the channels: {', '.join(channels)}"
        )
    routes = alerts.get("routes")
    for index, route in enumerate(routes if isinstance(routes, list) else []):
        if isinstance(route, dict):
            for path, word in _words(route.get("channel"), ("alerts", "routes", index, "channel")):
                _known(word, path, "channel", channels, findings)


def _check_old_names(data: dict[str, Any], section: str, findings: Findings) -> None:
    taken: dict[str, str] = {}
    for name, each in _sections(data, section):
        was = each.get("was")
        path = (section, name, "was")
        if not isinstance(was, str):
            continue
        if was in _names(data, section):
            findings.add(path, "names what is still in the file", f"take was away, or {section}.{was}")
        elif was in taken:
            findings.add(path, f"is also the old name of {section}.{taken[was]}", "keep one of the two")
        taken[was] = name


def _known(word: str, path: Path, what: str, known: list[str], findings: Findings) -> None:
    if word not in known and not findings.has(path):
        findings.add(path, f"no {what} is called '{word}'", choose(word, known))


def _names(data: dict[str, Any], section: str) -> list[str]:
    mapping = data.get(section)
    return list(mapping) if isinstance(mapping, dict) else []


def _sections(data: dict[str, Any], section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    mapping = data.get(section)
    for name, each in mapping.items() if isinstance(mapping, dict) else ():
        if isinstance(each, dict):
            yield name, each


def _words(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The names in a value that is one name or a list of them; what is neither is reported elsewhere."""
    if isinstance(value, str):
        yield path, value
    for index, word in enumerate(value if isinstance(value, list) else []):
        if isinstance(word, str):
            yield (*path, index), word
