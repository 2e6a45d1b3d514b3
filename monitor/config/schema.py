"""The config as JSON Schema, for editors: with the keys of every installed plugin."""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from monitor.config.duration import format
from monitor.config.model import Config
from monitor.config.service import Heartbeat
from monitor.config.validate import secret_fields, secret_lists
from monitor.plugins import Group, Plugins

#: Any value may be written with a variable in it, whatever its type.
_VARIABLE = {"type": "string", "pattern": r"\$\{.+\}"}


class _Generator(GenerateJsonSchema):
    """Writes defaults as the file would."""

    def encode_default(self, dft: Any) -> Any:
        """The default as plain JSON."""
        if isinstance(dft, BaseModel):
            return dft.model_dump(mode="json", exclude_none=True)
        return format(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def schema(plugins: Plugins | None = None) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the file.

    Raises:
        PluginError: An installed plugin cannot be loaded.
    """
    models = _settings(plugins or Plugins())
    wanted: list[type[BaseModel]] = [
        Config,
        *(model for kinds in models.values() for model in kinds.values()),
    ]
    made, whole = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(wanted)], schema_generator=_Generator
    )
    definitions = whole["$defs"]
    names = {model: made[model, "validation"]["$ref"].removeprefix("#/$defs/") for model in wanted}
    taken = {model: definitions[name] for model, name in names.items()}
    kinds = {
        group: {kind: (model, taken[model]) for kind, model in models[group].items()} for group in models
    }
    for merged in ("Config", "BaseModel"):
        definitions.pop(merged, None)
    definitions["Endpoint"] = _any_kind(definitions["Endpoint"], kinds["clients"])
    definitions["Channel"] = _any_kind(definitions["Channel"], kinds["notifiers"])
    definitions["Heartbeat"] |= _twinned(Heartbeat, definitions["Heartbeat"])
    definitions["ScorerUse"] = _any_scorer(kinds["scorers"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_adapted(taken[Config]),
        "title": "plumbline.yaml",
        "$defs": _adapted(definitions),
    }


def _settings(plugins: Plugins) -> dict[Group, dict[str, type[BaseModel]]]:
    return {
        "clients": {kind: plugins.client(kind).Settings for kind in plugins.kinds("clients")},
        "notifiers": {kind: plugins.notifier(kind).Settings for kind in plugins.kinds("notifiers")},
        "scorers": {kind: plugins.scorer(kind).Settings for kind in plugins.kinds("scorers")},
    }


_Kinds = dict[str, tuple[type[BaseModel], dict[str, Any]]]


def _any_kind(section: dict[str, Any], kinds: _Kinds) -> dict[str, Any]:
    """The section once for each kind, with the kind's own keys beside those that all kinds share."""
    shared = {key: value for key, value in section["properties"].items() if key != "settings"}
    needed = [key for key in section["required"] if key != "settings"]
    choices = []
    for kind, (model, own) in kinds.items():
        own = own | _twinned(model, own)
        keys = {**shared, "kind": {"const": kind, "description": shared["kind"]["description"]}}
        choices.append(
            {
                "type": "object",
                "properties": {**keys, **own.get("properties", {})},
                "required": [*needed, *own.get("required", ())],
                "additionalProperties": own.get("additionalProperties", False) is True,
            }
        )
    return {"description": section["description"], "anyOf": choices}


def _twinned(model: type[BaseModel], own: dict[str, Any]) -> dict[str, Any]:
    """The keys of a section with the twins of its secrets, none of which must be given in one form."""
    secrets = (*secret_fields(model), *secret_lists(model))
    twins = {
        f"{key}_file": {"type": "string", "description": f"A file that holds `{key}`."} for key in secrets
    }
    return {
        "properties": {**own.get("properties", {}), **twins},
        "required": [key for key in own.get("required", ()) if key not in secrets],
    }


def _any_scorer(kinds: _Kinds) -> dict[str, Any]:
    """A bare name where no parameter is needed, else one name with its parameters."""
    choices: list[dict[str, Any]] = []
    for kind, (_, own) in kinds.items():
        if not own.get("required"):
            choices.append({"const": kind})
        params = {
            "type": "object",
            "properties": own.get("properties", {}),
            "required": own.get("required", []),
        }
        params["additionalProperties"] = own.get("additionalProperties", False) is True
        choices.append(
            {
                "type": "object",
                "properties": {kind: params},
                "required": [kind],
                "additionalProperties": False,
            }
        )
    return {"description": "A scorer: its name, or {name: {parameter: value}}.", "anyOf": choices}


def _adapted(node: Any) -> Any:
    """Lets `${VAR}` stand where more than any text is asked for; makes patterns of keys bind."""
    if isinstance(node, list):
        return [_adapted(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {
        key: value if key in ("default", "examples", "const", "propertyNames") else _adapted(value)
        for key, value in node.items()
    }
    if "patternProperties" in made:
        made["additionalProperties"] = False
    narrow = made.get("type") in ("integer", "number", "boolean") or (
        made.get("type") == "string" and bool({"pattern", "enum"} & made.keys())
    )
    if not narrow:
        return made
    described = {key: made.pop(key) for key in ("description", "title", "default") if key in made}
    return {**described, "anyOf": [made, _VARIABLE]}
