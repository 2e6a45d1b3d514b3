from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from pydantic import ValidationError

from probes import Parts, Reply, Request, ScorerError, Timings
from probes.clients.embeddings import EmbeddingsClient, EmbeddingsSettings
from probes.clients.scripted import ScriptedClient, ScriptedSettings
from probes.contract import check_scorer
from probes.errors import MalformedReply, ServerFailed
from probes.scorers.similarity import Similarity, SimilaritySettings
from tests.fakes.embeddings_wire import vector_of
from tests.fakes.llm import FakeLLM
from tests.probes.cases import case, reply

Vectors = Mapping[str, list[float]]


class Embedder:
    """An embedder from a table of vectors, which remembers what it was asked."""

    def __init__(self, vectors: Vectors | Callable[[str], list[float]], model: str = "e-1") -> None:
        self.vectors, self.model = vectors, model
        self.asked: list[str] = []

    def answer(self, request: Request) -> Reply:
        text = str(request.messages[-1].content)
        self.asked.append(text)
        vector = self.vectors(text) if callable(self.vectors) else self.vectors[text]
        words = orjson.dumps(vector).decode()
        return Reply(text=words, timings=Timings(total=0.1), served_model=self.model)

    def scorer(self, **settings: Any) -> Similarity:
        client = ScriptedClient(ScriptedSettings(), answer=self.answer)
        made = SimilaritySettings.model_validate({"endpoint": "embedder"} | settings)
        return Similarity(made, Parts(clients={"embedder": client}))


def says(text: str) -> Similarity:
    """A scorer whose embedder always says this."""
    client = ScriptedClient(ScriptedSettings(), answer=lambda request: text)
    return Similarity(SimilaritySettings(endpoint="embedder"), Parts(clients={"embedder": client}))


@pytest.fixture
async def fake() -> AsyncIterator[FakeLLM]:
    async with FakeLLM() as server:
        yield server


@pytest.fixture
async def over_http(fake: FakeLLM) -> AsyncIterator[Similarity]:
    client = EmbeddingsClient(EmbeddingsSettings(url=fake.url, model="e-1"))
    yield Similarity(SimilaritySettings(endpoint="embedder"), Parts(clients={"embedder": client}))
    await client.close()


async def test_the_score_is_the_cosine_that_numpy_finds(over_http: Similarity) -> None:
    words = "the cat sat on the mat", "a cat sat on a red mat"
    one, other = (np.array(vector_of(each)) for each in words)
    score = await over_http.score(case(words[0]), reply(words[1]))
    assert score.value == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    assert score.evidence["cosine"] == round(score.value or 0, 6)
    assert (score.evidence["embedder"], score.evidence["model"]) == ("embedder", "e-1")


async def test_the_nearest_target_counts_and_is_told() -> None:
    embedder = Embedder({"far": [0, 1], "near": [4, 3], "said": [1, 0]})
    score = await embedder.scorer().score(case(("far", "near")), reply("said"))
    assert score.value == pytest.approx(0.8)
    assert score.evidence["target"] == 2


@pytest.mark.parametrize(
    ("vector", "bounds", "value"),
    [
        ([1, 0], {}, 1.0),
        ([0, 1], {}, 0.0),
        ([-1, 0], {}, 0.0),
        ([-1, 0], {"low": -1}, 0.0),
        ([0, 1], {"low": -1}, 0.5),
        ([4, 3], {"low": 0.7, "high": 0.9}, 0.5),
        ([4, 3], {"low": 0.8, "high": 0.9}, 0.0),
        ([4, 3], {"high": 0.8}, 1.0),
        ([4, 3], {"low": 0.3, "high": 0.7}, 1.0),
    ],
)
async def test_between_low_and_high_the_score_rises_in_a_straight_line(
    vector: list[float], bounds: dict[str, float], value: float
) -> None:
    scorer = Embedder({"right": [2, 0], "said": vector}).scorer(**bounds)
    assert (await scorer.score(case("right"), reply("said"))).value == pytest.approx(value)


async def test_a_target_is_embedded_once_and_every_reply_anew() -> None:
    embedder = Embedder(vector_of)
    scorer = embedder.scorer()
    for text in ("one", "two", "two"):
        await scorer.score(case(("right", "true")), reply(text))
    assert embedder.asked == ["one", "right", "true", "two", "two"]


async def test_only_the_targets_that_were_used_last_are_kept() -> None:
    embedder = Embedder(lambda text: [1.0])
    scorer = embedder.scorer()
    for n in range(513):
        await scorer.score(case(f"t{n}"), reply("said"))
        await scorer.score(case("t0"), reply("said"))
    embedder.asked.clear()
    await scorer.score(case(("t0", "t1", "t512")), reply("said"))
    assert embedder.asked == ["said", "t1"]


@pytest.mark.parametrize("vector", [[0.0, 2.0], [0.0, 2.0, 0.0]])
async def test_a_target_is_embedded_anew_where_another_model_answers(vector: list[float]) -> None:
    embedder = Embedder(lambda text: [3.0, 0.0])
    scorer = embedder.scorer()
    await scorer.score(case("right"), reply("said"))
    embedder.vectors, embedder.model = (lambda text: vector), "e-2"
    score = await scorer.score(case("right"), reply("said"))
    assert (score.value, score.evidence["model"]) == (1.0, "e-2")
    assert embedder.asked == ["said", "right"] * 2


async def test_vectors_of_two_models_are_never_compared() -> None:
    embedder = Embedder({"said": [1, 0], "right": [1, 0, 0]})
    with pytest.raises(MalformedReply, match="two models"):
        await embedder.scorer().score(case("right"), reply("said"))


@pytest.mark.parametrize("text", ["", " \n\t", "\u00a0"])
async def test_an_empty_reply_is_wrong_and_asks_nobody(text: str) -> None:
    embedder = Embedder({})
    score = await embedder.scorer().score(case("right"), reply(text))
    assert (score.value, score.explanation, embedder.asked) == (0.0, "the reply is empty", [])


@pytest.mark.parametrize("target", ["", " ", ("right", "")])
async def test_an_empty_target_cannot_be_compared_with(target: Any) -> None:
    with pytest.raises(ScorerError, match="c1 has an empty target"):
        await Embedder({}).scorer().score(case(target), reply("said"))


async def test_a_case_without_a_target_cannot_be_judged() -> None:
    with pytest.raises(ScorerError, match="c1 has no target"):
        await Embedder({}).scorer().score(case(None), reply("said"))


async def test_long_texts_are_cut_and_that_is_told() -> None:
    embedder = Embedder(lambda text: [1.0])
    scorer = embedder.scorer(max_characters=5)
    score = await scorer.score(case("right"), reply("123456"))
    assert embedder.asked == ["12345", "right"]
    assert (score.evidence["cut"], score.explanation) == (True, "only the first 5 characters were compared")
    assert "cut" not in (await scorer.score(case("right"), reply("12345"))).evidence
    assert (await scorer.score(case("right, I say"), reply("1"))).evidence["cut"]


async def test_half_a_character_is_sent_as_a_question_mark(fake: FakeLLM, over_http: Similarity) -> None:
    score = await over_http.score(case("cat"), reply("cat \ud800"))
    assert fake.requests[0].body["input"] == "cat ?"
    assert 0 < (score.value or 0) < 1


@pytest.mark.parametrize(
    "words", ["I do not know.", "", "{}", "[]", '["a"]', "[1, null]", "[" * 10_000, "[0, 0]"]
)
async def test_an_embedder_that_gives_no_direction_has_failed(words: str) -> None:
    with pytest.raises(MalformedReply, match=r"embedder (did not answer with|answered with) a vector"):
        await says(words).score(case("right"), reply("said"))


async def test_a_failure_of_the_embedder_is_passed_on(fake: FakeLLM, over_http: Similarity) -> None:
    fake.fault = "500"
    with pytest.raises(ServerFailed):
        await over_http.score(case("right"), reply("said"))


async def test_the_contract_holds_with_a_real_embedder(fake: FakeLLM) -> None:
    client = EmbeddingsClient(EmbeddingsSettings(url=fake.url, model="e-1"))
    parts = Parts(clients={"e": client})
    await check_scorer(Similarity, {"endpoint": "e"}, case=case(("cat", "\x00", "[" * 9_000)), parts=parts)
    await client.close()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "give either `endpoint` or `local`"),
        ({"endpoint": "e", "local": "/srv/m"}, "give either `endpoint` or `local`"),
        ({"local": "models/m"}, "is a relative path"),
        ({"endpoint": "e", "low": 0.5, "high": 0.5}, "`low` is not below `high`"),
        ({"endpoint": "e", "low": -1.5}, "greater than or equal to -1"),
        ({"endpoint": "e", "high": float("nan")}, "high"),
        ({"endpoint": ""}, "at least 1 character"),
        ({"endpoint": "e", "max_characters": 0}, "greater than or equal to 1"),
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        SimilaritySettings.model_validate(wrong)


def test_only_an_endpoint_is_leant_on() -> None:
    assert Similarity.needs(SimilaritySettings(endpoint="e")).endpoints == ("e",)
    assert Similarity.needs(SimilaritySettings(local=Path("/srv/m"))).endpoints == ()
