"""The image, the composition and the unit: no engine is needed to see that they fit together."""

import configparser
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.cases import Scorers, read_all
from monitor.config.load import load
from monitor.plugins import Plugins
from tests.deploy.tools import DEPLOY, ROOT

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BOOK = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, rest), without comments, its long lines joined."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line)]


IMAGE = instructions()
#: What the image itself says, after the last FROM.
FINAL = IMAGE[max(n for n, (word, _) in enumerate(IMAGE) if word == "FROM") :]


def copied() -> list[str]:
    """What the first stage takes from the repository."""
    words = [shlex.split(rest) for word, rest in IMAGE if word == "COPY" and "--from" not in rest]
    return [path for line in words for path in line[:-1]]


def test_the_image_is_made_of_what_the_package_is_made_of() -> None:
    wheel = BOOK["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], "pyproject.toml", BOOK["project"]["readme"]}
    needed |= {*BOOK["project"]["license-files"], "constraints.txt"}
    assert set(copied()) == needed
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in kept if line.startswith("!")} == needed
    assert all((ROOT / path).exists() for path in needed)


def test_the_image_runs_without_rights_and_says_what_it_is() -> None:
    said = dict(FINAL)
    assert said["USER"] not in ("root", "0", "0:0")
    assert [word for word, _ in FINAL].index("USER") > max(
        n for n, (word, _) in enumerate(FINAL) if word in ("RUN", "COPY")
    )
    assert said["VOLUME"] == '["/var/lib/plumbline"]'
    assert said["ENTRYPOINT"] == '["plumbline"]'
    assert "/-/healthy" in said["HEALTHCHECK"]
    labels = {word.partition("=")[0] for word in shlex.split(said["LABEL"])}
    kinds = ("title", "description", "licenses", "version", "revision")
    assert labels == {f"org.opencontainers.image.{kind}" for kind in kinds}
    assert ("ARG", f"VERSION={BOOK['project']['version']}") in FINAL


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_restarted_confined_and_only_local(name: str) -> None:
    service = SERVICES[name]
    assert "build" in service or re.search(r":v?\d+[\w.-]*$", service["image"])
    assert service["restart"] == "unless-stopped"
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert "privileged" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_mounts_and_waits_for_is_there(name: str) -> None:
    for mount in SERVICES[name]["volumes"]:
        source = mount.split(":")[0]
        assert (DEPLOY / source).is_dir() if source.startswith(".") else source in COMPOSE["volumes"]
    assert set(SERVICES[name].get("depends_on", ())) <= SERVICES.keys()


def test_the_daemon_has_a_read_only_root_and_one_volume() -> None:
    service = SERVICES["plumbline"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    writable = [mount for mount in service["volumes"] if not mount.endswith(":ro")]
    assert writable == ["plumbline:/var/lib/plumbline"]
    assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_no_secret_stands_in_the_composition() -> None:
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|KEY|TOKEN|SECRET", key) or value.startswith("${")


def test_the_config_of_the_composition_holds_and_meets_its_neighbours() -> None:
    plugins = Plugins()
    config = load(DEPLOY / "config" / "plumbline.yaml", {"POSTGRES_PASSWORD": "word"}, plugins=plugins).config
    assert read_all(config, Scorers(plugins, config.endpoints)).keys() == config.eval_sets.keys()
    assert "@postgres/" in config.store
    job = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    (target,) = job["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target == f"plumbline:{config.web.port}"
    assert ("EXPOSE", str(config.web.port)) in FINAL
    (sources,) = (DEPLOY / "grafana" / "provisioning" / "datasources").glob("*.yaml")
    (source,) = yaml.safe_load(sources.read_text(encoding="utf-8"))["datasources"]
    assert source["url"] == "http://prometheus:9090"


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze here")
    text = (DEPLOY / "plumbline.service").read_text(encoding="utf-8")
    copy = tmp_path / "plumbline.service"
    copy.write_text(text.replace("/opt/plumbline/bin/plumbline", "/bin/true"))  # it looks for the program
    done = subprocess.run([analyze, "verify", copy], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_restarts_what_may_come_back_and_nothing_else() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's keys are told apart by case
    unit.read(DEPLOY / "plumbline.service")
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "2 3"
    assert service["User"] not in ("", "root")
