"""Scorers that read a reply as JSON: whether it is JSON, and whether it follows a schema."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, ClassVar

import jsonschema
import orjson
import regex
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from pydantic import BaseModel, ConfigDict, Field, field_validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from probes.case import Case
from probes.errors import ScorerError
from probes.reply import Reply
from probes.scorer import Score
from probes.scorers.judging import judge, quote

#: Seconds that one `pattern` of a schema may work on one string of the reply.
_PATTERN_TIMEOUT = 0.2
_NOT_JSON = "the reply is not JSON"


class JsonSettings(BaseModel):
    """Parameters of `json`: with `fence`, JSON inside the reply's first Markdown code fence counts too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fence: bool = False


class JsonValid:
    """1 where the reply is one JSON value (RFC 8259; nested at most 1,024 deep), else 0."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = False
    Settings: ClassVar[type[BaseModel]] = JsonSettings

    def __init__(self, settings: JsonSettings) -> None:
        self._settings = settings

    async def score(self, case: Case, reply: Reply) -> Score:
        """Parses the reply."""
        return await judge(self._judge, case, reply)

    def _judge(self, case: Case, text: str) -> Score:
        try:
            orjson.loads(_unfenced(text) if self._settings.fence else text)
        except orjson.JSONDecodeError:
            return Score(value=0.0, explanation=_NOT_JSON)
        return Score(value=1.0)


class JsonSchemaSettings(BaseModel):
    """Parameters of `json-schema`.

    Attributes:
        schema_: A JSON Schema (`schema` in the file); without it, the one in the case's own response format.
        fence: JSON inside the reply's first Markdown code fence counts too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=False)

    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    fence: bool = False

    @field_validator("schema_")
    @classmethod
    def _is_a_schema(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            _checked(value)
        return value


class JsonSchema:
    """1 where the reply is JSON that follows the schema, else 0. References are never fetched."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = False
    Settings: ClassVar[type[BaseModel]] = JsonSchemaSettings

    def __init__(self, settings: JsonSchemaSettings) -> None:
        self._settings = settings
        self._validator = _checked(settings.schema_) if settings.schema_ is not None else None

    async def score(self, case: Case, reply: Reply) -> Score:
        """Parses the reply and holds it against the schema.

        Raises:
            ScorerError: There is no schema, it is not one, or it refers to something outside itself.
        """
        return await judge(self._judge, case, reply)

    def _judge(self, case: Case, text: str) -> Score:
        validator = self._validator or _of_format(case)
        try:
            value = orjson.loads(_unfenced(text) if self._settings.fence else text)
        except orjson.JSONDecodeError:
            return Score(value=0.0, explanation=_NOT_JSON)
        try:
            error = next(iter(validator.iter_errors(value)), None)
        except RecursionError:
            return Score(value=0.0, explanation="the reply is nested too deep")
        except TimeoutError:
            why = f"a `pattern` of the schema took longer than {_PATTERN_TIMEOUT:g} s"
            return Score(value=None, reason="pattern_timeout", explanation=why)
        except Unresolvable as missing:
            raise ScorerError(f"the schema refers to {missing.ref!r}; put it under its own `$defs`") from None
        if error is None:
            return Score(value=1.0)
        place = quote(error.json_path)
        return Score(
            value=0.0,
            explanation=f"the reply breaks `{error.validator}` at {place}",
            evidence={"path": place, "rule": str(error.validator)},
        )


def _unfenced(text: str) -> str:
    """The inside of the first Markdown code fence; the text itself where there is none."""
    _, fence, rest = text.partition("```")
    if not fence:
        return text
    first_line, _, body = rest.partition("\n")
    inside, closing, _ = body.partition("```")
    return inside if closing and first_line.strip().lower() in ("", "json") else text


def _of_format(case: Case) -> Validator:
    wanted = (case.format or {}).get("json_schema")
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    if not isinstance(schema, dict):
        raise ScorerError(f"case {case.id} has no schema; give the scorer a `schema`, or the case a `format`")
    try:
        return _checked(schema)
    except ValueError as error:
        raise ScorerError(f"case {case.id}: {error}") from None


def _checked(schema: dict[str, Any]) -> Validator:
    """A validator of the schema.

    Raises:
        ValueError: It is not a JSON Schema.
    """
    return _validator(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS))


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Validator:
    content = orjson.loads(schema)
    kind = jsonschema.validators.validator_for(content, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(content)
    except SchemaError as error:
        raise ValueError(f"the schema is not a JSON Schema ({quote(error.message)}); correct it") from None
    # its stubs leave the arguments untyped
    timed: type[Validator] = jsonschema.validators.extend(kind, {"pattern": _pattern})  # type: ignore[no-untyped-call]
    return timed(content, registry=Registry())  # an empty registry fetches nothing


def _pattern(
    validator: Validator, pattern: str, instance: object, schema: dict[str, Any]
) -> Iterator[ValidationError]:
    # jsonschema's own rule has no time limit, and the string comes from the endpoint
    if isinstance(instance, str) and not regex.search(pattern, instance, timeout=_PATTERN_TIMEOUT):
        yield ValidationError("the string does not match the pattern")
