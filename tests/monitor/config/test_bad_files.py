"""Broken files: each `bad/*.yaml` gives exactly the lines of the `.txt` beside it, all at once."""

from pathlib import Path

import pytest

from monitor.config.load import load
from monitor.config.problem import ConfigInvalid

BAD = Path(__file__).parent / "bad"
FILES = sorted(BAD.glob("*.yaml"))


def test_the_corpus_is_there():
    assert len(FILES) > 12


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_broken_file_gives_every_problem_with_its_place_and_cure(path):
    with pytest.raises(ConfigInvalid) as caught:
        load(path, {"EMPTY": ""})
    told = str(caught.value).replace(f"{BAD}/", "").replace(str(BAD), ".")
    assert told.splitlines() == path.with_suffix(".txt").read_text().splitlines()


def test_a_file_that_is_not_there_names_the_next_step(tmp_path):
    path = tmp_path / "plumbline.yaml"
    with pytest.raises(ConfigInvalid) as caught:
        load(path, {})
    assert str(caught.value) == (
        f"{path}: cannot be read (No such file or directory); "
        "write one with `plumbline init`, or name yours with --config"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"store: \xff", "is not UTF-8 text"), (b"store: \x00", "is not YAML: it holds control characters")],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, content, message):
    path = tmp_path / "plumbline.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigInvalid, match=message):
        load(path, {})


def test_problems_come_in_the_order_of_the_file():
    with pytest.raises(ConfigInvalid) as caught:
        load(BAD / "types.yaml", {})
    lines = [problem.line for problem in caught.value.problems]
    assert lines == sorted(lines)
    assert {problem.key for problem in caught.value.problems} >= {"store", "uplink.targets[0]"}
