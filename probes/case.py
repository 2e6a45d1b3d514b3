"""One test: what is asked, what is expected, and how the reply is scored."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

JsonObject = Mapping[str, Any]


def content_hash(value: object) -> str:
    """SHA-256, in hex, of a value's canonical JSON (sorted keys, no white space, UTF-8).

    Raises:
        ValueError: The value holds NaN or an infinity, which JSON cannot carry.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One turn of a conversation, in the shape that chat protocols share.

    `content` is text, or a tuple of content parts (for example an image by URL) that is passed
    through as it stands.
    """

    role: str
    content: str | tuple[JsonObject, ...] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: tuple[JsonObject, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The message as a chat protocol sends it; what is unset is left out."""
        body: dict[str, Any] = {"role": self.role}
        if self.content is not None:
            body["content"] = self.content if isinstance(self.content, str) else list(self.content)
        if self.name is not None:
            body["name"] = self.name
        if self.tool_call_id is not None:
            body["tool_call_id"] = self.tool_call_id
        if self.tool_calls:
            body["tool_calls"] = list(self.tool_calls)
        return body


@dataclass(frozen=True, kw_only=True, slots=True)
class ScorerSpec:
    """Which scorer, with which parameters.

    Attributes:
        kind: The scorer's name.
        params: Its parameters, as written.
        version: The scorer's own, so a changed scorer is seen.
        asks: Endpoint that it leans on -> identity of what answers there, so a changed judge is seen.
        parts: The scorers that it puts together.
    """

    kind: str
    params: JsonObject = field(default_factory=dict)
    version: int = 1
    asks: Mapping[str, str] = field(default_factory=dict)
    parts: tuple["ScorerSpec", ...] = ()

    @property
    def judges(self) -> frozenset[str]:
        """Every endpoint that scoring asks, its parts' included."""
        return frozenset(self.asks).union(*(part.judges for part in self.parts))

    def as_json(self) -> dict[str, Any]:
        """The specification as plain JSON; what is empty is left out."""
        return {
            "kind": self.kind,
            "params": dict(self.params),
            "version": self.version,
            **({"asks": dict(self.asks)} if self.asks else {}),
            **({"parts": [part.as_json() for part in self.parts]} if self.parts else {}),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where a case came from. `source` is file, import, traffic, synthetic or expert."""

    source: str = "file"
    author: str | None = None
    confidence: float | None = None
    parent: str | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test.

    Attributes:
        id: Unique within its eval set; from the file, or the first 16 hex digits of `ask_hash`.
        messages: The conversation that is sent.
        target: The expected answer, several equally good ones, or None where no scorer needs one.
        tools: Tool definitions that are offered to the model.
        format: The response format that is asked for (for example a JSON schema).
        params: Parameters of this case; they win over the endpoint's.
        scorers: How its reply is scored. A case's scorers replace its eval set's.
        tags: For strata and slices.
        weight: Its share in the score; above 0.
        difficulty: 0 (easy) to 1 (hard), where somebody knows it.
        family: Variants and near duplicates share a family, and so a split. Empty means: its own.
    """

    id: str
    messages: tuple[Message, ...]
    target: str | tuple[str, ...] | None = None
    tools: tuple[JsonObject, ...] = ()
    format: JsonObject | None = None
    params: JsonObject = field(default_factory=dict)
    scorers: tuple[ScorerSpec, ...] = ()
    tags: tuple[str, ...] = ()
    weight: float = 1.0
    difficulty: float | None = None
    metadata: JsonObject = field(default_factory=dict)
    family: str = ""
    provenance: Provenance = Provenance()

    @property
    def targets(self) -> tuple[str, ...]:
        """Every accepted answer; empty where the case has none."""
        if self.target is None:
            return ()
        return (self.target,) if isinstance(self.target, str) else self.target

    @cached_property
    def ask_hash(self) -> str:
        """Identity of what is asked: two cases with the same hash send the same request."""
        return ask_hash(self.messages, self.tools, self.format, self.params)

    @cached_property
    def score_hash(self) -> str:
        """Identity of how the reply is judged."""
        judged_by = [list(self.targets), [spec.as_json() for spec in self.scorers]]
        choices = self.metadata.get("choices")  # scorer `choice` reads them
        return content_hash(judged_by if choices is None else [*judged_by, choices])

    @cached_property
    def content_hash(self) -> str:
        """Identity of the whole case as an eval set's version records it."""
        return content_hash(
            [self.id, self.ask_hash, self.score_hash, list(self.tags), self.weight, self.family]
        )


def ask_hash(
    messages: tuple[Message, ...],
    tools: tuple[JsonObject, ...] = (),
    format: JsonObject | None = None,
    params: JsonObject | None = None,
) -> str:
    """SHA-256 over canonical (messages, tools, format, params)."""
    return content_hash([[m.as_json() for m in messages], list(tools), format, dict(params or {})])
