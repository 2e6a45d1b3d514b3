"""One line of a case file: the fields that it may have, and what is wrong with it in words for people."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from probes.case import Message, Provenance


class Finding(NamedTuple):
    """What is wrong at one key of the line; see `CaseProblem`."""

    key: str
    what: str
    cure: str


def _wrong(what: str, cure: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "{what}", {"what": what, "cure": cure})


def _not_blank(text: str) -> str:
    if not text.strip():
        raise _wrong("is empty", "fill it in or leave the key out")
    return text


def _one_line(text: str) -> str:
    if len(text) > 200 or not text.isprintable():
        raise _wrong("is too long or holds control characters", "use at most 200 printable characters")
    return text


def _content(value: Any) -> Any:
    if not isinstance(value, str | list | None) or not all(
        isinstance(part, str | dict) for part in value or ()
    ):
        raise _wrong(
            "is neither text nor a list of parts", 'write "text" or [{"type": "text", "text": "..."}]'
        )
    if isinstance(value, list) and any(isinstance(part, str) for part in value):
        raise _wrong("holds a part that is plain text", 'write {"type": "text", "text": "..."} in its place')
    return value


def _target(value: Any) -> Any:
    if value is None:
        return None
    answers = value if isinstance(value, list) else [value]
    if not all(isinstance(answer, str) for answer in answers):
        raise _wrong(
            "is not text, a number or a list of them", 'write other values as text, for example "true"'
        )
    if not answers or not all(answer.strip() for answer in answers):
        raise _wrong("is empty", "write the expected answer or leave the key out")
    return value


def _params(value: dict[str, Any]) -> dict[str, Any]:
    for name in value:
        if cure := _NO_PARAMS.get(name):
            raise _wrong(f"may not hold `{name}`", cure)
    return value


#: What a request holds but not as a parameter of a case.
_NO_PARAMS = {
    "messages": "use `prompt` or `messages` of the case",
    "tools": "use `tools` of the case",
    "response_format": "use `format` of the case",
    "model": "the endpoint names the model",
    "stream": "the client decides how it reads the reply",
}

Text = Annotated[str, AfterValidator(_not_blank)]
Name = Annotated[Text, AfterValidator(_one_line)]
Json = dict[str, Any]


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class MessageFields(_Fields):
    """One turn, as written."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[Any, AfterValidator(_content)] = None
    name: Text | None = None
    tool_call_id: Text | None = None
    tool_calls: list[Json] = []

    @model_validator(mode="after")
    def _says_something(self) -> "MessageFields":
        said = self.content.strip() if isinstance(self.content, str) else self.content
        if not said and not self.tool_calls:
            raise _wrong("says nothing", "give it `content` (or `tool_calls`), or remove it")
        return self

    def message(self) -> Message:
        """The turn as a case holds it."""
        return Message(
            role=self.role,
            content=tuple(self.content) if isinstance(self.content, list) else self.content,
            name=self.name,
            tool_call_id=self.tool_call_id,
            tool_calls=tuple(self.tool_calls),
        )


class ProvenanceFields(_Fields):
    """Where a case came from, as written."""

    source: Literal["file", "import", "traffic", "synthetic", "expert"] = "file"
    author: Text | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    parent: Text | None = None

    def provenance(self) -> Provenance:
        """The same as a case holds it."""
        return Provenance(
            source=self.source, author=self.author, confidence=self.confidence, parent=self.parent
        )


class CaseFields(_Fields):
    """A line, as written. `scorers` is only named here: the scorers themselves know what they take."""

    id: Name | None = None
    prompt: Text | None = None
    system: Text | None = None
    messages: list[MessageFields] | None = None
    target: Annotated[Any, AfterValidator(_target)] = None
    tools: list[Json] = []
    format: Json | None = None
    params: Annotated[Json, AfterValidator(_params)] = {}
    scorers: Any = None
    tags: list[Name] = []
    weight: Annotated[float, Field(gt=0)] = 1.0
    difficulty: Annotated[float, Field(ge=0, le=1)] | None = None
    metadata: Json = {}
    family: Name = ""
    provenance: ProvenanceFields = ProvenanceFields()

    def conversation(self) -> tuple[Message, ...]:
        """Every turn that is sent."""
        if self.messages is not None:
            return tuple(turn.message() for turn in self.messages)
        system = () if self.system is None else (Message(role="system", content=self.system),)
        return (*system, Message(role="user", content=self.prompt))


def findings(raw: Mapping[str, Any]) -> list[Finding]:
    """What is wrong between the fields of a line, whatever else may be wrong within them."""
    asks = [key for key in ("prompt", "messages") if raw.get(key) is not None]
    found: list[Finding] = []
    if not asks:
        found.append(Finding("", "asks nothing", "add `prompt` or `messages`"))
    if len(asks) == 2:
        found.append(Finding("messages", "stands beside `prompt`", "keep one of the two"))
    if raw.get("messages") == []:
        found.append(Finding("messages", "is empty", "add at least one message, or use `prompt`"))
    if raw.get("system") is not None and "messages" in asks:
        cure = 'make it the first message: {"role": "system", "content": "..."}'
        found.append(Finding("system", "stands beside `messages`", cure))
    return found


def explain(error: ValidationError) -> list[Finding]:
    """Each error of `CaseFields` in words for people; of what was written, only numbers are quoted."""
    return [_explain(detail) for detail in error.errors(include_url=False)]


def _explain(detail: ErrorDetails) -> Finding:
    key = key_of(detail["loc"])
    context = detail.get("ctx", {})
    match detail["type"]:
        case "wrong":
            return Finding(key, context["what"], context["cure"])
        case "missing":  # only a message's role must be there
            return Finding(key, "is missing", "add it")
        case "extra_forbidden":
            fields = _known(detail["loc"])
            cure = did_you_mean(str(detail["loc"][-1]), fields) or f"known are: {', '.join(fields)}"
            return Finding(key, "is not a known key", cure)
        case "literal_error" if detail["loc"][-1] in ("role", "source"):
            known = _KNOWN[str(detail["loc"][-1])]
            cure = did_you_mean(str(detail["input"]), known) or "write one of them"
            return Finding(key, f"is not one of {', '.join(known)}", cure)
        case "greater_than":
            return Finding(key, f"is {detail['input']}", f"write a number above {context['gt']:g}")
        case "greater_than_equal" | "less_than_equal":
            return Finding(key, f"is {detail['input']}", "write a number from 0 to 1")
        case kind if kind in _EXPECTED:
            return Finding(key, f"is {_a(detail['input'])}", f"write {_EXPECTED[kind]}")
    return Finding(key, f"is wrong: {detail['msg']}", "")


_KNOWN: dict[str, tuple[str, ...]] = {
    name: get_args(model.model_fields[name].annotation)
    for name, model in (("role", MessageFields), ("source", ProvenanceFields))
}

_EXPECTED = {
    "string_type": 'text, in "quotes"',
    "float_type": "a number",
    "list_type": "a list, in [brackets]",
    "dict_type": "an object, in {braces}",
    "model_type": "an object, in {braces}",
    "literal_error": "text",
}

_KINDS = {
    str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"
}  # fmt: skip


def _a(value: object) -> str:
    return _KINDS.get(type(value), "null")


def _known(loc: tuple[int | str, ...]) -> Iterable[str]:
    inner: dict[int | str, type[BaseModel]] = {"messages": MessageFields, "provenance": ProvenanceFields}
    return (CaseFields if len(loc) == 1 else inner[loc[0]]).model_fields


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest known word as a question, or an empty text where none is near."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean '{found[0]}'?" if found else ""


def key_of(loc: Iterable[int | str]) -> str:
    """The key as people write it: `messages[0].role`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")
