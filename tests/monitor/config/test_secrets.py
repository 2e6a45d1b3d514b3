"""Secrets come by reference and never come out again."""

import pytest

from alerts.notifiers.apprise import AppriseSettings
from monitor.config.load import load
from monitor.config.problem import ConfigInvalid
from monitor.config.show import show
from tests.monitor.config.plugins import fake_plugins

TOKEN = "tkn-5f2c9b71"
PIN = "84650213"
KEY = "key-77aa01"
PASSWORD = "pwd-hunter2"
SECRETS = (TOKEN, PIN, KEY, PASSWORD)

GOOD = f"""
store: postgresql://plumbline:${{PASSWORD}}@db.example.org/plumbline
endpoints:
  bot:
    kind: vault
    url: https://bot.example.org/v1?api_key={KEY}
    token: ${{TOKEN}}
    PIN: {PIN}
    keys: {{X-Key: "{KEY}"}}
"""
ENVIRON = {"TOKEN": TOKEN, "PASSWORD": PASSWORD}


@pytest.fixture
def load_text(tmp_path):
    def load_it(text, environ=ENVIRON):
        path = tmp_path / "plumbline.yaml"
        path.write_text(text)
        return load(path, environ, plugins=fake_plugins())

    return load_it


def settings_of(loaded):
    return loaded.config.endpoints["bot"].settings


def test_no_secret_is_in_what_is_shown_printed_or_hashed(load_text):
    loaded = load_text(GOOD)
    settings = settings_of(loaded)
    assert settings.token.get_secret_value() == TOKEN
    assert settings.pin.get_secret_value() == PIN
    assert PASSWORD in loaded.config.store
    shown = show(loaded.config)
    assert shown.count("**********") == 5
    for secret in SECRETS:
        assert secret not in shown
        assert secret not in loaded.hash
    for secret in (TOKEN, PIN, PASSWORD):  # a key inside a plugin's own plain url is the plugin's to hide
        assert secret not in repr(loaded)
        assert secret not in str(loaded.config)


def test_another_secret_is_the_same_config(load_text):
    assert load_text(GOOD).hash == load_text(GOOD, {"TOKEN": "other", "PASSWORD": "other"}).hash


def test_no_secret_is_in_any_error_however_a_plugin_words_it(load_text):
    text = GOOD.replace("keys:", "strict: true\n    keys:").replace(KEY, f"bad-{KEY}") + "nonsense: 1\n"
    with pytest.raises(ConfigInvalid) as caught:
        load_text(text)
    told = [str(caught.value), repr(caught.value), repr(caught.value.problems)]
    assert "endpoints.bot.keys: ********** is bad" in told[0]
    assert "endpoints.bot.strict: not with **********" in told[0]
    assert "nonsense: unknown key" in told[0]
    assert not [secret for secret in SECRETS if any(secret in each for each in told)]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_wrong_store_does_not_show_its_password(load_text):
    with pytest.raises(ConfigInvalid) as caught:
        load_text("store: mysql://user:${PASSWORD}@host/db")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (TOKEN, TOKEN),
        (f"{TOKEN}\n", TOKEN),
        (f"{TOKEN}\r\n", TOKEN),
        (f"{TOKEN}\n\n", f"{TOKEN}\n"),
        (f" {TOKEN} ", f" {TOKEN} "),
        ("${NOT_A_VARIABLE}", "${NOT_A_VARIABLE}"),
    ],
)
def test_a_secret_file_loses_one_line_break_and_nothing_else(load_text, tmp_path, content, secret):
    (tmp_path / "token").write_bytes(content.encode())
    loaded = load_text("endpoints: {bot: {kind: vault, token_file: token}}")
    assert settings_of(loaded).token.get_secret_value() == secret


def test_the_address_of_the_heartbeat_may_stand_in_a_file(load_text, tmp_path):
    (tmp_path / "beat").write_text("https://beats.example.org/5f2c9b71\n")
    heartbeat = load_text("alerts: {heartbeat: {url_file: beat}}").config.alerts.heartbeat
    assert heartbeat.url.get_secret_value() == "https://beats.example.org/5f2c9b71"


def test_a_list_of_secrets_may_stand_in_a_file_one_a_line(tmp_path):
    (tmp_path / "urls").write_text("json://one.example.org\n\njson://two.example.org\n")
    (tmp_path / "plumbline.yaml").write_text("alerts: {channels: {all: {kind: apprise, urls_file: urls}}}")
    settings = load(tmp_path / "plumbline.yaml", {}).config.alerts.channels["all"].settings
    assert isinstance(settings, AppriseSettings)
    assert [url.get_secret_value() for url in settings.urls] == [
        "json://one.example.org",
        "json://two.example.org",
    ]


@pytest.mark.parametrize(
    ("alerts", "problem"),
    [
        ("{heartbeat: {url_file: file}}", "alerts.heartbeat.url: is no web address"),
        (
            "{channels: {a: {kind: slack, channel: C0123, token_file: file}}}",
            "alerts.channels.a.token: is empty",
        ),
    ],
)
def test_what_is_wrong_with_the_content_of_a_file_is_told(tmp_path, alerts, problem):
    (tmp_path / "file").write_text("\n")
    (tmp_path / "plumbline.yaml").write_text(f"alerts: {alerts}")
    with pytest.raises(ConfigInvalid, match=problem):
        load(tmp_path / "plumbline.yaml", {})


def test_an_aliased_secret_has_its_twin_too(load_text, tmp_path):
    (tmp_path / "pin").write_text(f"{PIN}\n")
    loaded = load_text(
        "endpoints: {bot: {kind: vault, PIN_file: '${FOLDER}/pin'}}", {"FOLDER": str(tmp_path)}
    )
    assert settings_of(loaded).pin.get_secret_value() == PIN


def test_a_key_that_is_no_secret_has_no_twin(load_text):
    with pytest.raises(ConfigInvalid, match=r"endpoints\.bot\.url_file: unknown key"):
        load_text("endpoints: {bot: {kind: vault, url_file: x}}")


def test_a_plugin_whose_check_breaks_is_named_without_its_words(load_text):
    with pytest.raises(ConfigInvalid) as caught:
        load_text("endpoints: {bot: {kind: brittle, key: '${TOKEN}'}}")
    assert "endpoints.bot: cannot be checked, its plugin fails with KeyError" in str(caught.value)
    assert TOKEN not in str(caught.value)
