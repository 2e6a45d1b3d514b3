"""The rule file: promtool's checks, and that what an alert says leads somewhere."""

import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.deploy.tools import DEPLOY, ROOT, RULES, program
from tests.test_docs import slug

ALERTS = [
    rule
    for group in yaml.safe_load((RULES / "self.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]


@pytest.mark.parametrize(
    "check",
    [
        ("check", "rules", "rules/self.yml"),
        ("test", "rules", "rules/self_test.yml"),
        ("check", "config", "--syntax-only", "prometheus.yml"),
    ],
    ids=" ".join,
)
def test_promtool_is_content(check: tuple[str, ...]) -> None:
    promtool = program("promtool")
    done = subprocess.run(
        [promtool, *check], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_is_named_graded_and_explained(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"Plumbline([A-Z][a-z]+)+", rule["alert"])
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor == slug(rule["alert"])
    assert anchor in map(slug, headings)


def test_every_alert_has_fired_in_promtools_tests() -> None:
    tested = (RULES / "self_test.yml").read_text(encoding="utf-8")
    for rule in ALERTS:
        assert f'alertname="{rule["alert"]}"' in tested
