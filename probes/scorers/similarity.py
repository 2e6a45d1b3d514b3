"""The scorer `similarity`: how near a reply's meaning lies to a target's, by an embedder's vectors."""

import asyncio
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from probes.case import Case, Message
from probes.client import Client
from probes.errors import MalformedReply, ScorerError
from probes.reply import Reply, Request
from probes.scorer import Needs, Parts, Score
from probes.scorers.judging import targets_of
from probes.scorers.local_model import LocalModel
from probes.vector import cosine, numbers, unit

#: Targets whose vectors are kept: at 3,072 numbers each, 12 MB.
_KEPT = 512


class SimilaritySettings(BaseModel):
    """Parameters of `similarity`; exactly one of `endpoint` and `local`.

    Attributes:
        endpoint: The embedder: name of an endpoint, with limits and a price of its own.
        local: The embedder: absolute path of a folder with a model2vec model.
        low: The cosine at which the score is 0.
        high: The cosine at which the score is 1; in between it rises in a straight line.
        max_characters: How much of each text is compared, from its beginning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: Annotated[str | None, Field(min_length=1)] = None
    local: Path | None = None
    low: Annotated[float, Field(ge=-1, le=1)] = 0.0
    high: Annotated[float, Field(ge=-1, le=1)] = 1.0
    max_characters: Annotated[int, Field(ge=1, le=200_000)] = 8_000

    @field_validator("local")
    @classmethod
    def _is_the_whole_path(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_absolute():
            raise ValueError("is a relative path; write the whole one, like /srv/models/my-embedder")
        return value

    @model_validator(mode="after")
    def _one_embedder(self) -> Self:
        if (self.endpoint is None) == (self.local is None):
            raise ValueError("needs one embedder; give either `endpoint` or `local`")
        if self.low >= self.high:
            raise ValueError("`low` is not below `high`; lower it")
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class _Embedded:
    """Where a text lies for an embedder: a vector of length 1, or zeros, and the model that made it."""

    vector: "array[float]"
    model: str | None

    @property
    def is_zero(self) -> bool:
        return not any(self.vector)

    def fits(self, other: "_Embedded") -> bool:
        """Whether both lie in the same space."""
        return self.model == other.model and len(self.vector) == len(other.vector)


class Similarity:
    """The cosine between reply and target as their embedder sees them, against the nearest target.

    By default the cosine itself is the score, 0 where it is negative: which cosine means "unrelated" and which
    "the same" differs from embedder to embedder, so no other scale would be right for all of them.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = True
    Settings: ClassVar[type[BaseModel]] = SimilaritySettings

    def __init__(self, settings: SimilaritySettings, parts: Parts) -> None:
        self._settings = settings
        self._known: dict[str, _Embedded] = {}
        self._embed: Callable[[str], Awaitable[_Embedded]]
        if settings.endpoint is not None:
            self._embed = _Asked(settings.endpoint, parts.clients[settings.endpoint]).embed
        elif settings.local is not None:
            self._embed = _Local(settings.local).embed

    @classmethod
    def needs(cls, settings: SimilaritySettings) -> Needs:
        """The embedder, where it is an endpoint."""
        return Needs(endpoints=() if settings.endpoint is None else (settings.endpoint,))

    async def score(self, case: Case, reply: Reply) -> Score:
        """Compares meanings; one question to the embedder once the targets are known.

        Raises:
            ScorerError: The case has no target, or an empty one, or a local model cannot be used.
            EndpointError: The embedder failed, or was not asked.
        """
        targets = tuple(map(self._read, targets_of(case)))
        if not all(target.strip() for target in targets):
            raise ScorerError(f"case {case.id} has an empty target, which nothing is similar to; write one")
        text = self._read(reply.text)
        if not text.strip():
            return Score(value=0.0, explanation="the reply is empty")
        said = await self._embed(text)
        if said.is_zero:
            return Score(value=0.0, explanation="the embedder knows nothing of what the reply says")
        cosines = [cosine(said.vector, (await self._wanted(case, target, said)).vector) for target in targets]
        return self._scored(max(cosines), cosines, said, cut=self._cuts(reply.text, *targets_of(case)))

    def _scored(self, best: float, cosines: list[float], said: _Embedded, *, cut: bool) -> Score:
        low, high = self._settings.low, self._settings.high
        evidence: dict[str, Any] = {
            "cosine": round(best, 6),
            "target": cosines.index(best) + 1,
            "embedder": self._settings.endpoint or str(self._settings.local),
            "model": said.model,
            **({"cut": True} if cut else {}),
        }
        why = f"only the first {self._settings.max_characters} characters were compared" if cut else ""
        value = min(1.0, max(0.0, (best - low) / (high - low)))
        return Score(value=value, explanation=why, evidence=evidence)

    async def _wanted(self, case: Case, target: str, said: _Embedded) -> _Embedded:
        """The target's vector, embedded anew where the embedder's model has changed under its name."""
        known = self._known.pop(target, None)
        if known is None or not known.fits(said):
            known = await self._embed(target)
        if not known.fits(said):
            raise MalformedReply("the embedder answered from two models, whose vectors cannot be compared")
        if known.is_zero:
            raise ScorerError(f"case {case.id}: the embedder knows nothing of what a target says; reword it")
        self._known[target] = known  # the least recently used ones stand in front
        if len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        return known

    def _read(self, text: str) -> str:
        """What is compared of a text; half a character (a lone surrogate) cannot be sent."""
        return text[: self._settings.max_characters].encode(errors="replace").decode()

    def _cuts(self, *texts: str) -> bool:
        return any(len(text) > self._settings.max_characters for text in texts)


class _Asked:
    """An embedder that is an endpoint, of whatever kind: its reply is the vector as JSON."""

    def __init__(self, name: str, client: Client) -> None:
        self._name = name
        self._client = client

    async def embed(self, text: str) -> _Embedded:
        answer = await self._client.ask(Request(messages=(Message(role="user", content=text),)))
        try:
            vector = unit(numbers(orjson.loads(answer.text)))
        except ValueError:
            what = f"{self._name} did not answer with a vector; is its kind openai-embeddings?"
            raise MalformedReply(what) from None
        if not any(vector):
            raise MalformedReply(f"{self._name} answered with a vector of zeros, which has no direction")
        return _Embedded(vector=vector, model=answer.served_model)


class _Local:
    """An embedder that is a folder; its work is done in a thread."""

    def __init__(self, folder: Path) -> None:
        self._name = folder.name
        self._model = LocalModel(folder)

    async def embed(self, text: str) -> _Embedded:
        vector = await asyncio.to_thread(self._model.embed, text)
        return _Embedded(vector=unit(vector), model=self._name)
