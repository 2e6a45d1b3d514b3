"""A package that somebody else wrote, really installed: found, checked and used like what ships with Plumbline."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parent / "third_party"
ROOT = Path(__file__).parents[2]
#: Of the detectors the package's own: ours are slow to check, and nothing of another package reaches them.
SUITES = [
    *(f"tests/contract/test_{group}.py" for group in ("clients", "scorers", "notifiers")),
    "tests/contract/test_detectors.py::test_a_detector_keeps_the_contract[mean-drop]",
]
PLUGINS = {"mirror", "palindrome", "journal", "mean-drop"}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the package in it; Plumbline comes from the one that runs this."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    purelib = sysconfig.get_path("purelib", vars={"base": str(folder)})
    host = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (Path(purelib) / "plumbline_and_what_it_needs.pth").write_text(host)
    install = ["pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", PROJECT]
    ran = _run(sys.executable, "-m", *install)
    assert ran.returncode == 0, ran.stderr
    return python


def _run(*command: object, folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    words = [str(word) for word in command]
    environ = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True)


def test_every_plugin_of_the_environment_keeps_the_contract(python: Path) -> None:
    ran = _run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA", "-k", "keeps", *SUITES)
    assert ran.returncode == 0, ran.stdout
    passed = set(re.findall(r"^PASSED .*\[([a-z-]+?)(?:-none)?\]$", ran.stdout, re.MULTILINE))
    assert passed >= PLUGINS | {"openai", "exact", "log"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder whose config uses the package."""
    config = {
        "store": f"sqlite:///{tmp_path}/plumbline.db",
        "endpoints": {"mirror": {"kind": "mirror"}},
        "eval_sets": {"words": {"cases": "cases.jsonl", "scorers": [{"palindrome": {"ignore_case": True}}]}},
        "probes": {"quality": {"endpoint": "mirror", "eval_sets": ["words"], "every": "15m"}},
        "alerts": {"channels": {"journal": {"kind": "journal", "path": "journal.jsonl"}}},
    }
    (tmp_path / "plumbline.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "cases.jsonl").write_text('{"prompt": "Never odd or even"}\n{"prompt": "Plumbline"}\n')
    return tmp_path


def test_the_package_is_named_in_the_config_and_used(python: Path, site: Path) -> None:
    checked = _run(python, "-m", "monitor", "check-config", folder=site)
    assert checked.returncode == 0, checked.stderr
    probed = _run(python, "-m", "monitor", "probe", "quality", "-o", "json", folder=site)
    assert probed.returncode == 0, probed.stderr
    (report,) = json.loads(probed.stdout)
    assert sorted(each["score"] for each in report["replies"]) == [0.0, 1.0]
    told = _run(python, "-m", "monitor", "notify", "test", "journal", folder=site)
    assert told.returncode == 0, told.stderr
    assert len((site / "journal.jsonl").read_text().splitlines()) == 1


def test_its_settings_are_checked_like_ours(python: Path, site: Path) -> None:
    config = (site / "plumbline.yaml").read_text()
    (site / "plumbline.yaml").write_text(config.replace("ignore_case", "ignore_cas"))
    checked = _run(python, "-m", "monitor", "check-config", folder=site)
    assert checked.returncode == 3
    assert "ignore_cas: unknown key; did you mean 'ignore_case'?" in checked.stderr
