"""The JSON Schema and the reference page say what the model says."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from monitor.config.duration import format
from monitor.config.model import (
    Alerts,
    BaselinePolicy,
    Channel,
    Config,
    Endpoint,
    EvalSet,
    FalseAlarms,
    Limits,
    Price,
    Probe,
    Retention,
    RouteConfig,
    ScorerUse,
    Uplink,
    Web,
)
from monitor.config.schema import schema
from monitor.config.service import Tls
from monitor.config.show import public
from monitor.plugins import Plugins
from tests.monitor.config.plugins import ENTRIES

ROOT = Path(__file__).parents[3]
DOCS = (ROOT / "docs" / "configuration.md").read_text()
SCHEMA = schema()


def errors(config):
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return [error.message for error in validator.iter_errors(config)]


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", ["deploy/plumbline.example.yaml", "monitor/config/template.yaml"])
def test_it_accepts_the_files_that_we_ship(file):
    assert errors(yaml.safe_load((ROOT / file).read_text())) == []


def test_it_accepts_a_config_of_defaults():
    assert errors(public(Config())) == []


@pytest.mark.parametrize(
    "config",
    [
        {"stroe": "sqlite:///x.db"},
        {"endpoints": {"bot": {"kind": "opnai"}}},
        {"endpoints": {"bot": {"kind": "scripted", "url": "http://x"}}},
        {"endpoints": {"bot": {"kind": "openai", "url": "http://x"}}},
        {"endpoints": {"bot": {"kind": "scripted", "settings": {}}}},
        {"endpoints": {"Bad Name": {"kind": "scripted"}}},
        {"endpoints": {"bot": {"kind": "scripted", "limits": {"concurrency": "many"}}}},
        {"endpoints": {"bot": {"kind": "scripted", "timeout": "1:30"}}},
        {"eval_sets": {"all": {"cases": "x", "scorers": ["pattern"]}}},
        {"eval_sets": {"all": {"cases": "x", "scorers": [{"pattern": {"patern": "x"}}]}}},
        {"web": {"metrics": "maybe"}},
    ],
)
def test_it_refuses_what_the_loader_refuses(config):
    assert errors(config)


@pytest.mark.parametrize(
    "config",
    [
        {"endpoints": {"bot": {"kind": "openai", "url": "x", "model": "m", "api_key_file": "/run/key"}}},
        {"endpoints": {"bot": {"kind": "scripted", "limits": {"concurrency": "${N:-8}"}, "timeout": "${T}"}}},
        {"eval_sets": {"all": {"cases": "x", "scorers": ["exact", {"pattern": {"pattern": "x"}}]}}},
        {"alerts": {"channels": {"a": {"kind": "slack", "channel": "C012", "token_file": "/run/token"}}}},
        {"alerts": {"channels": {"a": {"kind": "apprise", "urls_file": "/run/urls"}}}},
        {"alerts": {"heartbeat": {"url_file": "/run/heartbeat"}}},
    ],
)
def test_it_accepts_secret_files_variables_and_both_forms_of_scorers(config):
    assert errors(config) == []


def test_it_carries_the_keys_of_any_installed_plugin():
    usable = {"vault", "free", "strict", "log"}
    found = schema(Plugins(lambda g: [each for each in ENTRIES if each.group == g and each.name in usable]))
    bot = {"kind": "vault", "PIN_file": "x"}
    validator = jsonschema.Draft202012Validator(found)
    assert validator.is_valid({"endpoints": {"bot": bot}})
    assert not validator.is_valid({"endpoints": {"bot": {**bot, "pin": "x"}}})
    assert validator.is_valid({"endpoints": {"bot": {"kind": "free", "anything": 1}}})


def section(heading):
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", DOCS, re.MULTILINE | re.DOTALL)
    assert found, f"docs/configuration.md has no heading for {heading}"
    return found[1]


def documented_default(field):
    if field.is_required():
        return "required"
    default = field.default_factory() if field.default is PydanticUndefined else field.default
    if isinstance(default, BaseModel):
        return "see below"
    if default is None or default in ((), {}):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{format(default) if hasattr(default, 'days') else default}`".replace(".0`", "`")


SECTIONS: list[tuple[str, type[BaseModel]]] = [
    ("web", Web),
    ("web", Tls),
    ("false_alarms", FalseAlarms),
    ("endpoints", Endpoint),
    ("endpoints", Limits),
    ("endpoints", Price),
    ("eval_sets", EvalSet),
    ("probes", Probe),
    ("alerts", Alerts),
    ("alerts", Channel),
    ("alerts", RouteConfig),
    ("retention", Retention),
    ("baseline", BaselinePolicy),
    ("uplink", Uplink),
]


@pytest.mark.parametrize("heading", list(Config.model_fields))
def test_every_top_level_key_has_a_heading(heading):
    assert section(heading)


@pytest.mark.parametrize("model", [Config, ScorerUse, *(model for _, model in SECTIONS)])
def test_every_key_is_described(model):
    assert all(field.description for field in model.model_fields.values())


@pytest.mark.parametrize(("heading", "model"), SECTIONS, ids=lambda each: getattr(each, "__name__", each))
def test_every_key_has_a_row_with_its_default(heading, model):
    text = section(heading)
    for name, field in model.model_fields.items():
        if name != "settings":
            assert f"| `{name}` | {documented_default(field)} | " in text


@pytest.mark.parametrize("kind", sorted(Plugins().kinds("clients")))
def test_every_key_of_a_client_has_a_row(kind):
    assert f"### {kind}\n" in DOCS
    for name in Plugins().client(kind).Settings.model_fields:
        assert f"| `{name}` | " in section("endpoints")


@pytest.mark.parametrize("kind", ["slack", "log"])
def test_every_key_of_a_notifier_has_a_row(kind):
    assert f"### {kind}\n" in DOCS
    for name in Plugins().notifier(kind).Settings.model_fields:
        assert f"| `{name}` | " in section("alerts")
