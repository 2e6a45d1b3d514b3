"""The pages say what the code says. Fences whose first line promises something are held to it:

- ```` ```yaml config ````: a config that loads as it stands;
- ```` ```jsonl cases ````: a case file that reads as it stands;
- ```` ```LANGUAGE file=PATH ````: one file of the plugin tutorial, which is installed and run.
"""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import typer.main
from pydantic_core import PydanticUndefined

from monitor.cases import Scorers, read_all
from monitor.cli.commands import app
from monitor.config.load import load
from monitor.drift.budget import sentence
from monitor.measures import MEASURES
from monitor.plugins import Plugins
from probes import Outcome
from rotation import read_cases

ROOT = Path(__file__).parents[1]
PAGES = {page.name: page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md"))}
LINKED = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]+)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)

GROUPS = {
    "clients": "clients.md",
    "scorers": "scorers.md",
    "notifiers": "notifiers.md",
    "detectors": "detection.md",
}


def fences(name):
    """(info, body) of every fenced block of a page, the body without the block's own indent."""
    for found in FENCE.finditer(PAGES[name]):
        lines = found["body"].splitlines(keepends=True)
        yield found["info"].strip(), "".join(line.removeprefix(found["indent"]) for line in lines)


def marked(word):
    """One test parameter for every block that carries the word."""
    return [
        pytest.param(body, id=f"{name}-{number}")
        for name in PAGES
        for number, (info, body) in enumerate(fences(name), 1)
        if word in info.split()[1:]
    ]


def section(name, heading):
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGES[name], re.MULTILINE | re.DOTALL)
    assert found, f"docs/{name} has no heading `## {heading}`"
    return found[1]


@pytest.mark.parametrize(("group", "page"), GROUPS.items())
def test_every_plugin_that_ships_has_a_heading(group, page):
    shipped = [
        e.name for e in entry_points(group=f"plumbline.{group}") if e.dist and e.dist.name == "plumbline"
    ]
    assert shipped
    for kind in shipped:
        assert section(page, kind)


@pytest.mark.parametrize("kind", sorted(e.name for e in entry_points(group="plumbline.scorers")))
def test_every_parameter_of_a_scorer_has_a_row_with_its_default(kind):
    text = section("scorers.md", kind)
    for name, field in Plugins().scorer(kind).Settings.model_fields.items():
        default = "required" if field.default is PydanticUndefined else "none"
        if field.default not in (PydanticUndefined, None):
            shown = field.default
            default = f"`{json.dumps(shown) if isinstance(shown, bool) else shown}`"
        assert f"| `{field.alias or name}` | {default} | " in text


def test_every_measure_has_a_row_with_its_detector():
    for measure in MEASURES.values():
        row = next(
            line for line in PAGES["detection.md"].splitlines() if line.startswith(f"| `{measure.name}` |")
        )
        assert f"[`{measure.detector}`](#{measure.detector})" in row
        assert ("never" in row) is not measure.alarms


def test_every_outcome_is_explained():
    rows = re.findall(r"^\| (`.*?) \|", section("clients.md", "How an attempt ends"), re.MULTILINE)
    assert {word for row in rows for word in re.findall(r"`(\w+)`", row)} == set(Outcome)


def test_the_budget_reads_as_it_is_told():
    assert sentence(streams=5, endpoints=1, at_most=1.0, per_days=30.0) in PAGES["detection.md"]


def commands(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name))


@pytest.mark.parametrize("command", list(commands(typer.main.get_command(app))))
def test_every_command_stands_on_the_page_of_the_command_line(command):
    assert re.search(rf"^(#+|\|) `?(plumbline )?{command}\b", PAGES["cli.md"], re.MULTILINE)


def slug(heading):
    """The anchor that a heading gets on GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_every_link_inside_the_repository_leads_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(
                r"^#+ (.+)$", FENCE.sub("", there.read_text(encoding="utf-8")), re.MULTILINE
            )
            assert anchor in map(slug, headings), f"{page.name} links to {target}"


def test_every_page_is_on_the_map():
    linked = re.findall(r"\]\((\w+\.md)", PAGES["index.md"])
    assert set(linked) | {"index.md"} >= PAGES.keys()


@pytest.mark.parametrize("example", marked("config"))
def test_an_example_of_a_config_loads(example, tmp_path):
    for file in re.findall(r"cases: ([\w/.-]+)", example):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text('{"prompt": "2+2?", "target": 4}\n')
    path = tmp_path / "plumbline.yaml"
    path.write_text(example, encoding="utf-8")
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)\}", example), "set-and-long-enough")
    plugins = Plugins()
    config = load(path, variables, plugins=plugins).config
    assert read_all(config, Scorers(plugins, config.endpoints)).keys() == config.eval_sets.keys()


@pytest.mark.parametrize("example", marked("cases"))
def test_an_example_of_cases_reads(example, tmp_path):
    path = tmp_path / "cases.jsonl"
    path.write_text(example, encoding="utf-8")
    scorers = Scorers(Plugins(), {})
    read = read_cases(
        path,
        default_scorers=(scorers.known("exact", {}),),
        known_scorer=scorers.known,
        needs_target=scorers.needs_target,
    )
    assert len(read) == example.count("\n")


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """The tutorial's package on disk, with what an installer would write beside it."""
    folder = tmp_path_factory.mktemp("tutorial")
    for info, body in fences("plugins.md"):
        if found := re.search(r"\bfile=(\S+)", info):
            path = folder / found[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body, encoding="utf-8")
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / "src" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups))
    return folder


def run_in(folder, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PYTHONPATH": f"{folder / 'src'}:{ROOT}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_tutorial_plugin_passes_its_own_tests(tutorial):
    ended = run_in(tutorial, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert ended.returncode == 0, ended.stdout
    assert "3 passed" in ended.stdout


def test_the_tutorial_plugin_is_found_and_its_parameters_are_checked(tutorial):
    ended = run_in(tutorial, "-m", "monitor", "check-config")
    assert ended.returncode == 0, ended.stderr
    config = (tutorial / "plumbline.yaml").read_text().replace("at_most: 40", "at_mots: 40")
    (tutorial / "wrong.yaml").write_text(config)
    ended = run_in(tutorial, "-m", "monitor", "check-config", "-c", "wrong.yaml")
    assert ended.returncode == 3
    assert "did you mean 'at_most'?" in ended.stderr
