"""Loads the config file: one call, one typed value, or every problem at once."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from monitor.config import certificate, document, references, settings
from monitor.config.model import Config
from monitor.config.problem import ConfigInvalid
from monitor.config.show import public
from monitor.config.validate import validate
from monitor.plugins import Plugins
from probes.case import content_hash


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A config that holds.

    Attributes:
        config: The whole file, typed.
        hash: SHA-256 in hex of what it says, without the values of secrets, and of its case files.
        path: Where it was read from.
    """

    config: Config
    hash: str
    path: FilePath


def load(path: FilePath, environ: Mapping[str, str], *, plugins: Plugins | None = None) -> Loaded:
    """Reads, checks and types the file. It looks at case files only as bytes.

    Args:
        path: The file. Paths in it are relative to its folder.
        environ: What `${VAR}` refers to.
        plugins: Where kinds are looked up; by default what is installed.

    Raises:
        ConfigInvalid: Carries every problem of the file.
    """
    folder = path.absolute().parent
    found = document.read(path, environ)
    digests = _find_cases(found, folder)
    _find_certificate(found, folder)
    _default_channel(found.data)
    settings.fill(found, plugins or Plugins(), folder)
    config = validate(Config, found.data, (), texts=found.texts, findings=found.findings)
    references.check(found.data, found.findings)
    if config is None or found.findings.problems:
        raise ConfigInvalid(found.findings.problems)
    return Loaded(config=config, hash=_hash(config, digests), path=path)


def _find_cases(found: document.Document, folder: FilePath) -> dict[str, str]:
    """Resolves the paths of case files in place and digests their bytes."""
    digests: dict[str, str] = {}
    eval_sets = found.data.get("eval_sets")
    for name, eval_set in eval_sets.items() if isinstance(eval_sets, dict) else ():
        path = ("eval_sets", name, "cases")
        written = eval_set.get("cases") if isinstance(eval_set, dict) else None
        written = found.texts.get(path, written)
        if not isinstance(written, str) or found.findings.has(path):
            continue
        file = folder / written
        eval_set["cases"] = str(file)
        try:
            digests[name] = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as error:
            cure = "write the cases there, or correct the path"
            found.findings.add(path, f"cannot read {file} ({error.strerror})", cure)
    return digests


def _find_certificate(found: document.Document, folder: FilePath) -> None:
    """Resolves the paths of `web.tls` in place, and tries what is there."""
    web = found.data.get("web")
    tls = web.get("tls") if isinstance(web, dict) else None
    if not isinstance(tls, dict):
        return
    for name in ("cert", "key"):
        written = found.texts.get(("web", "tls", name), tls.get(name))
        if isinstance(written, str):
            tls[name] = str(folder / written)
    if not all(isinstance(tls.get(name), str) for name in ("cert", "key")):
        return  # told by the model
    for wrong in certificate.problems(FilePath(tls["cert"]), FilePath(tls["key"])):
        found.findings.add(("web", "tls", wrong.part), wrong.what, wrong.cure)


def _default_channel(data: dict[str, Any]) -> None:
    """Without any channel, the log is told."""
    alerts = data.get("alerts")
    if alerts is None:
        alerts = data["alerts"] = {}
    if isinstance(alerts, dict) and not alerts.get("channels") and alerts.get("default_channel") is None:
        alerts["channels"] = {"log": {"kind": "log"}}


def _hash(config: Config, digests: Mapping[str, str]) -> str:
    said = public(config)
    for name, digest in digests.items():
        said["eval_sets"][name]["cases"] = digest  # the same set on another host has another path
    said["web"].pop("tls", None)  # so has its certificate, and each replica may have its own
    return content_hash(said)
