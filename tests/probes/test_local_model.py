"""The scorer `similarity` with a model in a folder, made here: a word for a word, each with a made-up direction."""

import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probes import Parts, Score, ScorerError
from probes.contract import check_scorer
from probes.scorers.similarity import Similarity, SimilaritySettings
from tests.probes.cases import case, reply

WORDS = ["[UNK]", "the", "a", "cat", "dog", "sat", "river"]


def directions(words: str) -> np.ndarray[Any, Any]:
    """A made-up direction for each word, the same on every machine."""
    return np.array(
        [np.random.default_rng(zlib.crc32(word.encode())).normal(size=16) for word in words.split()]
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = directions(" ".join(WORDS)).astype(np.float32)
    StaticModel(vectors, tokenizer).save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


async def local(folder: Path, text: str, target: str = "the cat sat", **settings: Any) -> Score:
    scorer = Similarity(SimilaritySettings(local=folder, **settings), Parts())
    return await scorer.score(case(target), reply(text))


async def test_a_model_in_a_folder_compares_too(folder: Path) -> None:
    score = await local(folder, "A dog sat!")
    one, other = directions("the cat sat").mean(axis=0), directions("a dog sat").mean(axis=0)
    expected = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert score.value == pytest.approx(max(0.0, expected), abs=1e-6)
    assert (score.evidence["embedder"], score.evidence["model"]) == (str(folder), "tiny")


async def test_a_local_model_reads_to_the_end_of_what_is_compared(folder: Path) -> None:
    head, tail = "cat " * 1_500, "river " * 1_000
    whole = await local(folder, head + tail, target="river", low=-1, max_characters=20_000)
    beginning = await local(folder, head + tail, target="river", low=-1, max_characters=len(head))
    assert (whole.value or 0) > (beginning.value or 0) + 0.1


async def test_what_a_local_model_knows_nothing_of_is_wrong(folder: Path) -> None:
    score = await local(folder, "xyzzy")
    assert (score.value, score.explanation) == (0.0, "the embedder knows nothing of what the reply says")
    with pytest.raises(ScorerError, match="knows nothing of what a target says"):
        await local(folder, "cat", target="xyzzy")


async def test_a_local_model_keeps_the_contract(folder: Path) -> None:
    await check_scorer(Similarity, {"local": folder}, case=case("the cat"), reply="a cat", parts=Parts())


@pytest.mark.parametrize("left_out", ["tokenizer.json", "model.safetensors", "config.json"])
async def test_half_a_model_is_told_with_what_it_needs(folder: Path, left_out: str) -> None:
    (folder / left_out).unlink()
    with pytest.raises(ScorerError, match=r"holds no model2vec model .*; it needs model\.safetensors"):
        await local(folder, "cat")


async def test_a_folder_that_is_not_there_is_not_looked_for_elsewhere(folder: Path) -> None:
    with pytest.raises(ScorerError, match="there is no folder"):
        await local(folder / "gone", "cat")


async def test_a_broken_model_judges_nothing(folder: Path) -> None:
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(folder)
    model.embedding[:] = np.nan
    model.save_pretrained(folder)
    with pytest.raises(ScorerError, match=r"the model in .* is broken"):
        await local(folder, "cat")


WITHOUT_THE_EXTRA = """
import asyncio, sys
sys.modules["model2vec"] = None  # as if it were not installed
from probes import Parts, ScorerError
from probes.scorers.similarity import Similarity, SimilaritySettings
from tests.probes.cases import case, reply
try:
    asyncio.run(Similarity(SimilaritySettings(local="/"), Parts()).score(case("a"), reply("a")))
except ScorerError as error:
    print(error)
"""


def test_without_the_extra_the_cure_is_named() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA], capture_output=True, text=True, timeout=60
    )
    cure = "similarity with `local` needs the library model2vec: pip install 'plumbline[similarity]'"
    assert ended.stdout.splitlines() == [cure], ended.stderr
