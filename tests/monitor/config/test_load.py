"""A good file becomes one typed value."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from monitor.config.load import load
from monitor.config.model import ScorerUse
from monitor.config.problem import ConfigInvalid
from monitor.config.show import show
from monitor.plugins import Plugins
from tests.monitor.config.plugins import fake_plugins

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "deploy" / "plumbline.example.yaml"
TEMPLATE = ROOT / "monitor" / "config" / "template.yaml"


@pytest.fixture
def load_text(tmp_path):
    (tmp_path / "cases.jsonl").write_text("the loader does not read cases")

    def load_it(text, environ=None, plugins=None):
        path = tmp_path / "plumbline.yaml"
        path.write_text(text)
        return load(path, environ or {}, plugins=plugins)

    return load_it


@pytest.fixture
def example(tmp_path):
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "support.jsonl").touch()
    (tmp_path / "plumbline.yaml").write_text(EXAMPLE.read_text())
    return load(tmp_path / "plumbline.yaml", {"SLACK_BOT_TOKEN": "xoxb-1"}).config


def test_the_example_is_true(example):
    bot = example.endpoints["support-bot"]
    assert (bot.timeout, bot.limits.usd_per_day, bot.price.output_per_mtok) == (
        timedelta(minutes=1),
        2.0,
        0.6,
    )
    assert bot.settings.model == "support-v3"
    assert bot.settings.api_key is None
    assert example.probes["support-quality"].every == timedelta(minutes=15)
    assert example.probes["support-nightly"].endpoints_of(example) == ("support-bot", "support-bot-canary")
    assert example.alerts.routes[0].mention == "@oncall"
    assert (example.web.host, example.web.port) == ("127.0.0.1", 8484)


def test_what_is_shown_of_the_example_is_a_config_that_says_the_same(example, tmp_path):
    again = tmp_path / "again.yaml"
    again.write_text(show(example))
    shown = load(again, {}).config
    assert show(shown) == show(example)
    assert shown.probes == example.probes


def test_the_template_pair_loads_as_it_stands(tmp_path):
    (tmp_path / "plumbline.yaml").write_text(TEMPLATE.read_text())
    cases = TEMPLATE.with_name("template_cases.jsonl").read_text()
    (tmp_path / "cases.jsonl").write_text(cases)
    config = load(tmp_path / "plumbline.yaml", {}).config
    assert config.eval_sets["first"].cases == tmp_path / "cases.jsonl"
    written = [json.loads(line) for line in cases.splitlines()]
    assert len(written) == config.probes["quality"].cases_per_round == 8
    for use in (use for case in written for use in case.get("scorers", [])):
        scorer = ScorerUse.model_validate(use)
        Plugins().scorer(scorer.kind).Settings.model_validate(scorer.params)


def test_an_empty_mapping_is_a_whole_config_of_defaults(load_text):
    config = load_text("{}").config
    assert config.store == "sqlite:///plumbline.db"
    assert config.retention.round_stats == timedelta(days=400)
    assert config.alerts.default_channel == "log"
    assert config.alerts.channels["log"].kind == "log"


def test_an_empty_value_is_an_absent_key(load_text):
    config = load_text(
        "web:\nendpoints:\n  bot:\n    kind: scripted\n    price:\n    timeout: ${T:-}\n"
    ).config
    assert config.web.listen == "127.0.0.1:8484"
    assert config.endpoints["bot"].timeout == timedelta(seconds=60)


def test_text_is_what_was_written_even_where_it_looks_like_a_number_or_a_truth_value(load_text):
    text = """
endpoints:
  bot:
    {kind: openai, url: "http://a/v1", model: 4.10, labels: {v: 1.10, n: 010, on: on, t: 1:30}, region: no}
eval_sets: {all: {cases: cases.jsonl}}
probes: {p: {endpoint: {v: 1.10}, eval_sets: [all], every: 1m}}
"""
    config = load_text(text).config
    bot = config.endpoints["bot"]
    assert bot.labels == {"v": "1.10", "n": "010", "on": "on", "t": "1:30"}
    assert (bot.settings.model, bot.region) == ("4.10", "no")
    assert config.probes["p"].endpoints_of(config) == ("bot",)


def test_variables_keep_their_type_unless_they_are_quoted(load_text):
    text = """
endpoints:
  bot: {kind: free, a: "${N}", b: ${N}, c: "${B}", d: ${B}, limits: {concurrency: "${N}"}, timeout: ${T:-2m}}
"""
    bot = load_text(text, {"N": "8", "B": "true"}, fake_plugins()).config.endpoints["bot"]
    assert bot.settings.model_extra == {"a": "8", "b": 8, "c": "true", "d": True}
    assert (bot.limits.concurrency, bot.timeout) == (8, timedelta(minutes=2))


def test_references_need_no_quotes_even_where_braces_are_yaml(load_text):
    text = "alerts: {channels: {a: {kind: slack, token: ${T}, app_token: ${A:-}, channel: ${C:-C0: #1}}}}"
    with pytest.raises(ConfigInvalid, match="is no channel's id"):
        load_text(text, {"T": "xoxb-1"})
    settings = load_text(text, {"T": "xoxb-1", "C": "C0123456"}).config.alerts.channels["a"].settings
    assert (settings.token.get_secret_value(), settings.channel) == ("xoxb-1", "C0123456")


def test_anchors_and_merges_work_and_own_keys_win(load_text):
    text = """
endpoints:
  one: &one {kind: scripted, timeout: 5s, limits: {concurrency: 2}}
  two: {timeout: 7s, <<: *one}
  three:
    <<: [{timeout: 9s}, *one]
"""
    endpoints = load_text(text).config.endpoints
    assert [endpoint.timeout.seconds for endpoint in endpoints.values()] == [5, 7, 9]
    assert {endpoint.limits.concurrency for endpoint in endpoints.values()} == {2}


def test_a_single_channel_is_the_default(load_text):
    config = load_text("alerts: {channels: {night: {kind: log}}}").config
    assert config.alerts.default_channel == "night"


@pytest.mark.parametrize(
    ("endpoint", "watched"),
    [
        ("b", ("b",)),
        ("[c, a, c]", ("a", "c")),
        ("{team: x}", ("a", "b")),
        ("{team: x, env: p}", ("b",)),
    ],
)
def test_a_probe_names_lists_or_matches_its_endpoints(load_text, endpoint, watched):
    text = f"""
endpoints:
  a: {{kind: scripted, labels: {{team: x}}}}
  b: {{kind: scripted, labels: {{team: x, env: p}}}}
  c: {{kind: scripted}}
eval_sets: {{all: {{cases: cases.jsonl}}}}
probes: {{p: {{endpoint: {endpoint}, eval_sets: [all], cron: "0 */6 * * mon-fri"}}}}
"""
    config = load_text(text).config
    assert config.probes["p"].endpoints_of(config) == watched


def test_scorers_are_written_short_or_with_parameters(load_text):
    text = "eval_sets: {all: {cases: cases.jsonl, scorers: [exact, {number: }, {pattern: {pattern: '^a$'}}]}}"
    scorers = load_text(text).config.eval_sets["all"].scorers
    assert [(use.kind, use.params) for use in scorers] == [
        ("exact", {}),
        ("number", {}),
        ("pattern", {"pattern": "^a$"}),
    ]


BOT = """
endpoints:
  bot:
    kind: openai
    url: http://127.0.0.1:9200/v1
    model: m
    params: {temperature: 0}
    timeout: 60s
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("9200", "9300", True),
        ("timeout: 60s", "api_key: other", True),
        ("timeout: 60s", "price: {input_per_mtok: 1, output_per_mtok: 2}", True),
        ("timeout: 60s", "limits: {concurrency: 1}", True),
        ("timeout: 60s", "headers: {X-Team: support}", True),
        ("model: m", "model: n", False),
        ("temperature: 0", "temperature: 1", False),
        ("kind: openai", "kind: free", False),
    ],
)
def test_only_kind_model_and_params_make_another_subject(load_text, old, new, same):
    def subject(text):
        plugins = fake_plugins() if "free" in text else None
        return load_text(text, plugins=plugins).config.endpoints["bot"].subject

    assert (subject(BOT) == subject(BOT.replace(old, new))) is same


def test_the_subject_is_plain_json(load_text):
    subject = json.loads(load_text(BOT).config.endpoints["bot"].subject)
    assert subject == {"kind": "openai", "model": "m", "params": {"temperature": 0}}


def test_the_hash_follows_what_is_said_and_the_cases_but_not_the_place(load_text, tmp_path):
    text = "eval_sets: {all: {cases: cases.jsonl}}"
    first = load_text(text).hash
    assert load_text(f"# a comment\n{text}\nstore: sqlite:///plumbline.db").hash == first
    assert load_text(text + "\nfalse_alarms: {at_most: 2}").hash != first
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "cases.jsonl").write_bytes((tmp_path / "cases.jsonl").read_bytes())
    (tmp_path / "elsewhere" / "plumbline.yaml").write_text(text)
    assert load(tmp_path / "elsewhere" / "plumbline.yaml", {}).hash == first
    (tmp_path / "cases.jsonl").write_text("another case")
    assert load_text(text).hash != first


def test_a_config_never_changes(load_text):
    config = load_text("{}").config
    with pytest.raises(ValueError, match="frozen"):
        config.store = "sqlite:///other.db"


def test_what_is_shown_is_yaml_with_every_default(load_text):
    shown = yaml.safe_load(show(load_text(BOT).config))
    assert shown["endpoints"]["bot"]["limits"] == {"concurrency": 8}
    assert shown["retention"] == {"replies": "30d", "results": "90d", "round_stats": "400d"}


def test_the_old_config_stays_untouched_by_a_bad_reload(load_text):
    loaded = load_text(BOT)
    with pytest.raises(ConfigInvalid):
        load_text(BOT + "nonsense: 1")
    assert load_text(BOT).config == loaded.config
