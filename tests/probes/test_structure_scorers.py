from typing import Any

import pytest
from pydantic import ValidationError

from probes import Case, Score, ScorerError
from probes.scorers.structure import JsonSchema, JsonSchemaSettings, JsonSettings, JsonValid
from tests.probes.cases import case, reply

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}


async def valid(text: str, **settings: Any) -> float | None:
    return (await JsonValid(JsonSettings(**settings)).score(case(None), reply(text))).value


async def follows(text: str, schema: Any = SCHEMA, of: Case | None = None, **more: Any) -> Score:
    settings = JsonSchemaSettings.model_validate(({"schema": schema} if schema is not None else {}) | more)
    return await JsonSchema(settings).score(of or case(None), reply(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": [1, 2.5, null, true]}', 1),
        (' "text" \n', 1),
        ("{'a': 1}", 0),
        ('{"a": 1', 0),
        ("NaN", 0),
        ("", 0),
        ("Here you are: {}", 0),
        ("```json\n{}\n```", 0),
        ("[" * 100_000, 0),
        ("[" * 100_000 + "]" * 100_000, 0),
        ('{"a": "\x00"}', 0),
        ("\ud800", 0),
    ],
)
async def test_json(text: str, expected: float) -> None:
    assert await valid(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```json\n{}\n```", 1),
        ("Here you are:\n```JSON\n{}\n```\nBye", 1),
        ("```\n[1]\n```", 1),
        ("{}", 1),
        ("```python\n{}\n```", 0),
        ("```json\n{}", 0),
    ],
)
async def test_json_in_a_code_fence_counts_where_it_is_allowed(text: str, expected: float) -> None:
    assert await valid(text, fence=True) == expected


@pytest.mark.parametrize(
    ("text", "expected", "rule"),
    [
        ('{"name": "Ada", "age": 36}', 1, None),
        ('{"age": 36}', 0, "required"),
        ('{"name": "ada"}', 0, "pattern"),
        ('{"name": "Ada", "x": 1}', 0, "additionalProperties"),
        ('{"name": 5}', 0, "type"),
        ("[]", 0, "type"),
    ],
)
async def test_json_schema(text: str, expected: float, rule: str | None) -> None:
    score = await follows(text)
    assert (score.value, score.evidence.get("rule")) == (expected, rule)


async def test_what_is_not_json_follows_no_schema() -> None:
    assert (await follows("nope")).value == 0
    assert (await follows('```json\n{"name": "Ada"}\n```')).value == 0
    assert (await follows('```json\n{"name": "Ada"}\n```', fence=True)).value == 1


async def test_the_schema_may_come_from_the_cases_format() -> None:
    of = case(None, format={"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}})
    assert (await follows('{"name": "Ada"}', None, of)).value == 1
    assert (await follows('{"age": 1}', None, of)).value == 0


async def test_without_a_schema_nothing_can_be_judged() -> None:
    with pytest.raises(ScorerError, match="c1 has no schema"):
        await follows("{}", None)


async def test_a_wrong_schema_in_a_case_is_an_error_of_the_case() -> None:
    of = case(None, format={"type": "json_schema", "json_schema": {"schema": {"type": "objekt"}}})
    with pytest.raises(ScorerError, match="c1: the schema is not a JSON Schema"):
        await follows("{}", None, of)


@pytest.mark.parametrize("schema", [{"type": "objekt"}, {"type": "string", "pattern": "(?<"}])
def test_a_wrong_schema_in_the_settings_is_refused_at_once(schema: Any) -> None:
    with pytest.raises(ValidationError, match="not a JSON Schema"):
        JsonSchemaSettings.model_validate({"schema": schema})


async def test_a_reference_to_elsewhere_is_not_fetched() -> None:
    with pytest.raises(ScorerError, match="defs"):
        await follows("{}", {"$ref": "http://127.0.0.1:9/schema.json"})


async def test_a_pattern_of_the_schema_that_explodes_gives_no_score() -> None:
    score = await follows('"' + "a" * 40 + 'b"', {"type": "string", "pattern": "^(a|aa)+$"})
    assert (score.value, score.reason) == (None, "pattern_timeout")


async def test_a_deep_reply_against_a_schema_that_refers_to_itself_is_judged() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#"}}}
    score = await follows('{"a":' * 1000 + "{}" + "}" * 1000, schema)
    assert score.value == 0


async def test_the_place_of_a_hostile_key_is_short_and_printable() -> None:
    key = "\\u0000\\u202e" + "x" * 5000
    score = await follows(f'{{"{key}": 1}}', {"additionalProperties": {"type": "string"}})
    assert score.value == 0
    assert score.evidence["path"].isprintable()
    assert len(score.explanation) < 300
