"""Validates values by a pydantic model and says what is wrong in our own words, for every error at once."""

import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from monitor.config.problem import Findings, Path, Wrong, choose, nearest
from monitor.config.section import Section

Model = TypeVar("Model", bound=BaseModel)

#: Top-level keys of the design that come with later versions.
LATER = frozenset({"tripwires", "traffic", "telemetry"})

_WHOLE = ("should be a whole number", "write digits only, like 8")
_NUMBER = ("should be a number", "write digits only, like 0.5")
_EITHER = ("should be true or false", "write one of the two")

_WORDS = {
    "string_type": ("should be one text", "write one value, in quotes where it looks like something else"),
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _EITHER,
    "bool_parsing": _EITHER,
    "dict_type": ("should be keys with values", "write {key: value}, or indent keys below it"),
    "model_type": ("should be keys with values", "write {key: value}, or indent keys below it"),
    "list_type": ("should be a list", "write [a, b]"),
    "tuple_type": ("should be a list", "write [a, b]"),
    "path_type": ("should be one path", "write one file's name"),
}

_BOUNDS = {
    "greater_than": ("is too small", "write more than {}", "gt"),
    "greater_than_equal": ("is too small", "write {} or more", "ge"),
    "less_than": ("is too large", "write less than {}", "lt"),
    "less_than_equal": ("is too large", "write {} or less", "le"),
}


def validate(
    model: type[Model],
    data: dict[str, Any],
    at: Path,
    *,
    texts: Mapping[Path, str],
    findings: Findings,
) -> Model | None:
    """Builds the model; what is wrong becomes findings and the answer None.

    `data` is the loader's own and is changed where YAML's reading and the model's differ: where text is
    wanted, a number counts as it is written (`version: 1.10`); an empty value counts as an absent key.

    Args:
        model: What the values should be.
        data: The values.
        at: Where in the file they stand.
        texts: How unquoted numbers are written, by their place in the file.
        findings: Where problems go.
    """
    built, errors = _attempt(model, data)
    if errors and any([_mend(model, data, error, at, texts) for error in errors]):
        built, errors = _attempt(model, data)
    unknown = [error for error in errors if error["type"] == "extra_forbidden"]
    for error in unknown:
        _refuse(model, data, _path(model, data, error), at, findings)
    for error in (error for error in errors if error not in unknown):
        path = _path(model, data, error)
        wrong = error.get("ctx", {}).get("error")
        beside = wrong.beside if isinstance(wrong, Wrong) else None
        if findings.has((*at, *path)) or (beside and findings.has((*at, *path[:-1], beside))):
            continue
        what, cure = _worded(error, path)
        findings.add((*at, *path), what, cure, covers="[key]" not in error["loc"])
    return built


def secret_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a plugin's settings that hold one secret each; each has a twin that ends in `_file`."""
    return tuple(
        field.alias or name
        for name, field in model.model_fields.items()
        if SecretStr in _options(field.annotation)
    )


def secret_lists(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a plugin's settings that hold a list of secrets; their twin's file has one in each line."""
    return tuple(
        field.alias or name
        for name, field in model.model_fields.items()
        for option in _options(field.annotation)
        if get_origin(option) in (tuple, list) and SecretStr in get_args(option)
    )


def known_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys that may stand in this section of the file."""
    hidden = "settings" if issubclass(model, Section) else None
    return tuple(field.alias or name for name, field in model.model_fields.items() if name != hidden)


def holds_secret(model: type[BaseModel], key: str) -> bool:
    """Whether a key holds a secret, or a list or mapping of them."""
    pending = [field.annotation for name, field in model.model_fields.items() if (field.alias or name) == key]
    return any(SecretStr in (annotation, *_within(annotation)) for annotation in pending)


def refuse_unknown(
    findings: Findings, at: Path, key: str, known: Iterable[str], data: Mapping[str, Any]
) -> None:
    """Reports an unknown key of a section; if a missing one was meant, that it is missing is not told too."""
    words = list(known)
    findings.add((*at, key), "unknown key", choose(key, words))
    near = nearest(key, words)
    if near and near not in data:
        findings.mute((*at, near))


def _refuse(model: type[BaseModel], data: dict[str, Any], path: Path, at: Path, findings: Findings) -> None:
    section: Any = data
    for part in path[:-1]:
        section = section[part]
    key = str(path[-1])
    if not at and path[:-1] == () and key in LATER:
        findings.add(path, "not in this version yet", "take it out")
    else:
        refuse_unknown(findings, (*at, *path[:-1]), key, _keys_at(model, path[:-1]), section)


def _attempt(model: type[Model], data: dict[str, Any]) -> tuple[Model | None, list[ErrorDetails]]:
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, error.errors(include_url=False, include_input=False)


def _mend(
    model: type[BaseModel], data: dict[str, Any], error: ErrorDetails, at: Path, texts: Mapping[Path, str]
) -> bool:
    path = _path(model, data, error)
    if not path:
        return False
    parent: Any = data
    for part in path[:-1]:
        parent = parent[part]
    if not _holds(parent, path[-1]):
        return False
    if parent[path[-1]] is None and path[-1] in _keys_at(model, path[:-1]):
        del parent[path[-1]]
        return True
    if error["type"] == "string_type" and (*at, *path) in texts:
        parent[path[-1]] = texts[*at, *path]
        return True
    return False


def _path(model: type[BaseModel], data: Any, error: ErrorDetails) -> Path:
    """The place of an error in the file: pydantic's own, without its names for the branches of a union."""
    path: list[str | int] = []
    last = len(error["loc"]) - 1
    for index, part in enumerate(error["loc"]):
        if _holds(data, part):
            data = data[part]
        elif index < last or part not in _keys_at(model, tuple(path)):  # else: an absent key
            continue
        path.append(part)
    return tuple(path)


def _holds(data: Any, part: str | int) -> bool:
    return part in data if isinstance(data, dict) else isinstance(data, list) and isinstance(part, int)


def _worded(error: ErrorDetails, path: Path) -> tuple[str, str]:
    kind, last = error["type"], str(path[-1]) if path else ""
    wrong = error.get("ctx", {}).get("error")
    if isinstance(wrong, Wrong):
        return wrong.what, wrong.cure
    if kind == "missing":
        return "is missing", f"add {last}: ..."
    if kind in ("too_short", "string_too_short") and error["ctx"]["min_length"] == 1:
        return "is empty", "give it a value"
    if kind in _BOUNDS:
        what, cure, key = _BOUNDS[kind]
        bound = error["ctx"][key]
        return what, cure.format(f"{bound:g}" if isinstance(bound, float) else bound)
    if kind == "literal_error":
        return f"should be {error['ctx']['expected']}", "write one of them"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    what, _, cure = message.partition("; ")
    return _WORDS.get(kind, (what, cure or "correct this value"))


def _keys_at(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    """The keys that may stand at a path below `model`; none where keys are names of people's choice."""
    here: list[Any] = [model]
    for part in path:
        here = [below for option in here for below in _options(_below(option, part))]
    models = [option for option in here if isinstance(option, type) and issubclass(option, BaseModel)]
    return tuple(key for each in models for key in known_keys(each))


def _below(annotation: Any, part: str | int) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field else None
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return arguments[1]
    return arguments[0] if arguments else None


def _within(annotation: Any) -> list[Any]:
    return [deep for each in get_args(annotation) for deep in (each, *_within(each))]


def _options(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [option for each in get_args(annotation) for option in _options(each)]
    return [annotation]
