import re
from pathlib import Path

import pytest

from rotation import CaseFileInvalid
from rotation.case_line import CaseFields, MessageFields, ProvenanceFields
from tests.rotation.build import read

PAGE = (Path(__file__).parents[2] / "docs" / "cases.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```jsonl\n(.*?)```", PAGE, flags=re.DOTALL)
TOLD = re.findall(r"^cases/support\.jsonl:(.*)$", PAGE, flags=re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_page_is_a_valid_case_file(tmp_path, example):
    path = tmp_path / "cases.jsonl"
    path.write_text(example, encoding="utf-8")
    assert len(read(path, default="exact")) == example.count("\n")


def test_the_page_explains_every_field():
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE))
    assert rows == set(CaseFields.model_fields)
    for name in {**MessageFields.model_fields, **ProvenanceFields.model_fields}:
        assert f"`{name}`" in PAGE


def test_the_examples_use_every_field():
    used = {key for key in CaseFields.model_fields if any(f'"{key}":' in example for example in EXAMPLES)}
    assert used == set(CaseFields.model_fields)


def test_the_problems_on_the_page_are_what_is_really_told(tmp_path):
    lines = [f'{{"prompt": "{i}", "target": 1}}' for i in range(1, 13)]
    lines[6] = '{"prompt": "7", "target": 1, "weight": 0}'
    lines[8] = '{"prompt": "9", "target": 1, "tagz": ["a"]}'
    lines[11] = lines[3]
    path = tmp_path / "support.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(CaseFileInvalid) as caught:
        read(path, default="exact")
    assert [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems] == TOLD
