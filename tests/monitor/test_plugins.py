"""Plugins are found by name, imported only when asked for, and never take the daemon along."""

import subprocess
import sys

import pytest

from monitor.plugins import KindTwice, NotLoadable, PluginError, Plugins, UnknownKind, WrongApi
from tests.monitor.config.plugins import Detect, Vault, entry, fake_plugins


def test_a_kind_gives_the_class_that_registers_it():
    plugins = fake_plugins()
    found: list[object] = [plugins.client("vault"), plugins.scorer("strict"), plugins.detector("detect")]
    assert found == [Vault, Vault, Detect]


def test_the_same_class_registered_twice_by_one_package_counts_once():
    found: object = fake_plugins().client("echo")
    assert found is Vault


def test_kinds_are_listed_without_importing_anything():
    plugins = Plugins(lambda group: [entry("clients", "b", "no_such:B"), entry("clients", "a", "no_such:A")])
    assert plugins.kinds("clients") == ("a", "b")


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("valt", UnknownKind, "no client is called 'valt'; did you mean 'vault'?"),
        (
            "future",
            WrongApi,
            "the client 'future' of tests.monitor.config.plugins has api = 2, this Plumbline speaks 1; "
            "upgrade plumbline",
        ),
        (
            "past",
            WrongApi,
            "the client 'past' of tests.monitor.config.plugins has api = None, this Plumbline speaks 1; "
            "upgrade tests.monitor.config.plugins",
        ),
        (
            "bare",
            NotLoadable,
            "the client 'bare' has no Settings that are a pydantic model; "
            "upgrade the package, or tell its author",
        ),
        (
            "text",
            NotLoadable,
            "the client 'text' of tests.monitor.config.plugins is no class; "
            "upgrade the package, or tell its author",
        ),
        (
            "absent",
            NotLoadable,
            "the client 'absent' of no_such_module_anywhere cannot be imported (ModuleNotFoundError: "
            "No module named 'no_such_module_anywhere'); reinstall the package or take it out of the config",
        ),
        (
            "twin",
            KindTwice,
            "the client 'twin' is registered by tests.monitor.config.plugins, tests.monitor.config.plugins; "
            "uninstall all but one",
        ),
    ],
)
def test_what_cannot_be_used_says_why_and_what_to_do(kind, error, message):
    with pytest.raises(error) as caught:
        fake_plugins().client(kind)
    assert str(caught.value) == message
    assert isinstance(caught.value, PluginError)


def test_an_unknown_kind_far_from_all_lists_what_is_known():
    with pytest.raises(UnknownKind, match="no scorer is called 'x'; known are: strict"):
        fake_plugins().scorer("x")


def test_a_missing_attribute_is_no_traceback():
    with pytest.raises(NotLoadable, match="cannot be imported"):
        fake_plugins().client("gone")


def test_every_built_in_loads():
    plugins = Plugins()
    assert {"openai", "scripted"} <= set(plugins.kinds("clients"))
    for kind in ("openai", "scripted"):
        assert plugins.client(kind).api == 1
    for kind in ("exact", "includes", "pattern", "number", "json", "json-schema"):
        assert plugins.scorer(kind).api == 1
    for kind in ("log", "slack"):
        assert plugins.notifier(kind).api == 1
    for kind in ("paired", "ranks", "failures"):
        assert plugins.detector(kind).api == 1


def test_a_config_that_uses_neither_slack_nor_cron_imports_neither(tmp_path):
    path = tmp_path / "plumbline.yaml"
    path.write_text("endpoints: {bot: {kind: scripted}}\nalerts: {channels: {log: {kind: log}}}\n")
    program = (
        "import sys, pathlib\n"
        "from monitor.config.load import load\n"
        "load(pathlib.Path(sys.argv[1]), {})\n"
        "heavy = {'slack_sdk', 'apscheduler', 'scipy', 'river', 'sqlalchemy', 'regex', 'jsonschema'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
