"""Shows a config as its file would say it, with every default and without any secret."""

import re
from typing import Any

import yaml

from monitor.config.model import Config

_HIDDEN = "**********"

#: A password in the authority of a URL, or a secret in its query.
_IN_AUTHORITY = re.compile(r"(://[^/?#@:\s]*:)[^/?#\s]*(?=@)")
_IN_QUERY = re.compile(
    r"([?&][^=&#\s]*(?:password|passwd|secret|token|key|sig)[^=&#\s]*=)[^&#\s]+", re.IGNORECASE
)


def show(config: Config) -> str:
    """YAML of the whole config; secrets read `**********`."""
    return yaml.safe_dump(public(config), sort_keys=False, allow_unicode=True, width=110)


def public(config: Config) -> dict[str, Any]:
    """The config as plain values in the file's own shape, without secrets."""
    said = config.model_dump(mode="json", exclude_none=True)
    for section in (*said["endpoints"].values(), *said["alerts"]["channels"].values()):
        section |= section.pop("settings")
    for eval_set in said["eval_sets"].values():
        eval_set["scorers"] = [
            {use["kind"]: use["params"]} if use["params"] else use["kind"] for use in eval_set["scorers"]
        ]
    return {key: _without_secrets(value) for key, value in said.items()}


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_secrets(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    if isinstance(value, str):
        return _IN_QUERY.sub(rf"\1{_HIDDEN}", _IN_AUTHORITY.sub(rf"\1{_HIDDEN}", value))
    return value
