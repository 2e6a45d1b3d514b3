"""Broken files: each `bad/*.yaml` gives exactly the lines of the `.txt` beside it, all at once."""

import re
from pathlib import Path

import pytest

from monitor.cli import main
from monitor.config.load import load
from monitor.config.problem import ConfigInvalid
from monitor.plugins import Plugins

BAD = Path(__file__).parent / "bad"
FILES = sorted(BAD.glob("*.yaml"))

#: `file:line: key: what is wrong; what to do`, where line and key are left out if the whole file is meant.
SHAPE = re.compile(r"[\w.-]+\.(yaml|jsonl)(:[0-9]+)?: [^;]+; .+")


def told(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `plumbline check-config` says of a broken file, without the count at its end."""
    monkeypatch.setenv("EMPTY", "")
    with pytest.raises(SystemExit) as ended:
        main(["check-config", "-c", str(path)])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (3, "")
    err = said.err.replace(f"{path.parent}/", "").replace(str(path.parent), ".")
    for group in ("clients", "scorers", "notifiers"):  # which there are is the business of other tests
        err = err.replace(f"known are: {', '.join(Plugins().kinds(group))}\n", f"known are: <{group}>\n")
    *lines, count = err.splitlines()
    assert count.split()[0] == str(len(lines))
    return lines


def test_the_corpus_is_there():
    assert len(FILES) >= 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_broken_file_gives_every_problem_with_its_place_and_cure(path, capsys, monkeypatch):
    lines = told(path, capsys, monkeypatch)
    assert lines == path.with_suffix(".txt").read_text().splitlines()
    assert [line for line in lines if not SHAPE.fullmatch(line)] == []


def test_a_file_that_is_not_there_names_the_next_step(tmp_path):
    path = tmp_path / "plumbline.yaml"
    with pytest.raises(ConfigInvalid) as caught:
        load(path, {})
    assert str(caught.value) == (
        f"{path}: cannot be read (No such file or directory); "
        "write one with `plumbline init`, or name yours with --config"
    )


BOT = "endpoints:\n  bot: {kind: scripted, dealy: 1}\n"
NOT_UTF_8 = "is not UTF-8 text; save the file as UTF-8"
CONTROL = "is not YAML: it holds control characters; save it as plain text"
DELAY = "endpoints.bot.dealy: unknown key; did you mean 'delay'?"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        pytest.param(b"store: a\nweb: \xff", f":2: {NOT_UTF_8}", id="one-byte"),
        pytest.param("# K\u00f6ln".encode("latin-1"), f":1: {NOT_UTF_8}", id="latin-1"),
        pytest.param(BOT.encode("utf-16"), f":1: {NOT_UTF_8}", id="utf-16"),
        pytest.param(BOT.encode("utf-16-le"), f":1: {CONTROL}", id="utf-16-without-its-mark"),
        pytest.param(b"store: a\nweb: \x00", f":2: {CONTROL}", id="null-byte"),
        pytest.param(BOT.encode("utf-8-sig"), f":2: {DELAY}", id="byte-order-mark"),
        pytest.param(BOT.replace("\n", "\r\n").encode(), f":2: {DELAY}", id="windows-lines"),
        pytest.param(BOT.replace("\n", "\r").encode(), f":2: {DELAY}", id="old-mac-lines"),
        pytest.param(
            BOT.replace("  ", "\u00a0\u00a0").encode(),
            ":2: has a key that holds invisible characters; type it anew, with ordinary spaces before it",
            id="no-break-spaces",
        ),
        pytest.param(
            BOT.replace("dealy", '"\\e[2J"').encode(),
            ":2: endpoints.bot: has a key that holds invisible characters; "
            "type it anew, with ordinary spaces before it",
            id="escape-sequence",
        ),
        pytest.param(b"", ": holds no keys; write one with `plumbline init`", id="nothing"),
    ],
)
def test_what_an_editor_may_do_to_a_file_is_told_or_understood(content, line, tmp_path, capsys, monkeypatch):
    path = tmp_path / "plumbline.yaml"
    path.write_bytes(content)
    assert told(path, capsys, monkeypatch) == [f"plumbline.yaml{line}"]


def test_problems_come_in_the_order_of_the_file():
    with pytest.raises(ConfigInvalid) as caught:
        load(BAD / "types.yaml", {})
    lines = [problem.line for problem in caught.value.problems]
    assert lines == sorted(lines)
    assert {problem.key for problem in caught.value.problems} >= {"store", "uplink.targets[0]"}
