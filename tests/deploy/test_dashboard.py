"""The dashboard: it is what its program writes, and it has what Grafana and its reader need."""

import json
import re
import runpy
import subprocess
import sys
from itertools import combinations
from typing import Any

import pytest
import yaml

from tests.deploy.tools import DEPLOY, ROOT

FILE = DEPLOY / "grafana" / "dashboards" / "plumbline.json"
BOARD = json.loads(FILE.read_text(encoding="utf-8"))
PANELS = [each for each in BOARD["panels"] if each["type"] != "row"]
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def expressions() -> list[tuple[str, str]]:
    """Every (panel, expression)."""
    return [(each["title"], target["expr"]) for each in PANELS for target in each["targets"]]


def test_the_file_is_what_its_program_writes() -> None:
    built = runpy.run_path(str(DEPLOY / "grafana" / "build.py"))["dashboard"]()
    assert built == BOARD, "run: python deploy/grafana/build.py > deploy/grafana/dashboards/plumbline.json"


def test_the_program_writes_the_file_byte_for_byte() -> None:
    command = [sys.executable, str(DEPLOY / "grafana" / "build.py")]
    assert subprocess.run(command, capture_output=True, check=True).stdout == FILE.read_bytes()


def test_panels_have_their_own_numbers_and_places() -> None:
    assert len({each["id"] for each in BOARD["panels"]}) == len(BOARD["panels"])
    for one, other in combinations([each["gridPos"] for each in BOARD["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_has_a_unit_legends_and_the_chosen_data_source(panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"] in {"short", "s", "bytes", "percentunit", "currencyUSD"}
    assert panel["datasource"]["uid"] == "${datasource}"
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"]
        assert target["legendFormat"]
        grouped = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        by = {label for found in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in found.split(", ")}
        assert grouped <= by


def test_no_variable_is_missing_or_idle() -> None:
    known = {each["name"] for each in BOARD["templating"]["list"]}
    used = {a or b for a, b in _VARIABLE.findall(json.dumps(BOARD))}
    assert known == used - {"__all"}  # Grafana's own word for every value


@pytest.mark.parametrize(("panel", "expr"), expressions())
def test_a_query_adds_replicas_up_as_the_contract_says(panel: str, expr: str) -> None:
    """Counters belong to a process, state to the store; gauges of the process itself are listed."""
    own = {"store_up", "config_last_reload_successful", "uplink_up", "build_info", "config_hash"}
    for name in re.findall(r"plumbline_(\w+)", expr):
        if re.search(r"_(total|sum|count|bucket)$", name):
            assert re.search(rf"sum by \([^)]+\) \((rate|increase)\(plumbline_{name}\b", expr), panel
        elif name not in own:
            assert re.search(rf"(max|min) by \([^)]+\) \(plumbline_{name}\b", expr), panel


def test_every_metric_stands_in_the_contract() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for _, expr in expressions():
        for name in re.findall(r"plumbline_\w+", expr):
            assert f"`{re.sub('_(sum|count|bucket)$', '', name)}`" in page


def test_grafana_is_told_where_to_find_it() -> None:
    folder = DEPLOY / "grafana" / "provisioning"
    boards = yaml.safe_load((folder / "dashboards" / "plumbline.yaml").read_text(encoding="utf-8"))
    sources = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text(encoding="utf-8"))
    mounts = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["grafana"][
        "volumes"
    ]
    (provider,) = boards["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts
    assert "./grafana/provisioning:/etc/grafana/provisioning:ro" in mounts
    assert [source["type"] for source in sources["datasources"]] == ["prometheus"]
