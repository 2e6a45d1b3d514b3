import subprocess
import sys
from typing import Any

import pytest
from sacrebleu import sentence_bleu, sentence_chrf

from probes import Score, ScorerError
from probes.contract import check_scorer
from probes.scorers.overlap import F1, RougeL
from probes.scorers.translation import Bleu, Chrf
from tests.probes.cases import case, reply


async def score(kind: Any, text: str, target: Any, **settings: Any) -> Score:
    found: Score = await kind(kind.Settings.model_validate(settings)).score(case(target), reply(text))
    return found


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("Denver Broncos", "Denver Broncos", 1),
        ("The Denver Broncos!", "denver broncos", 1),
        ("an apple, a day", "apple day", 1),
        ("Santa Clara, California", "Santa Clara", 4 / 5),
        ("Levi's Stadium in Santa Clara", "Levi's Stadium", 4 / 7),
        ("the cat cat", "cat dog", 1 / 2),
        ("Paris", "Rome", 0),
        ("", "Rome", 0),
        ("the", "Rome", 0),
        ("", "the", 1),
        ("Santa Clara", ("Rome", "Santa Clara, California"), 4 / 5),
    ],
)
async def test_f1_is_that_of_squad(text: str, target: Any, expected: float) -> None:
    assert (await score(F1, text, target)).value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        # Lin 2004, section 3.1: S1 against S2, S3 and S4
        ("police kill the gunman", "police killed the gunman", 3 / 4),
        ("the gunman kill police", "police killed the gunman", 2 / 4),
        ("the gunman police killed", "police killed the gunman", 2 / 4),
        # precision 2/6 of a longer reply, recall 2/2
        ("Police have now killed the suspect", "police killed", 1 / 2),
        ("testing one two", "testing", 1 / 2),  # from the tests of rouge-score
        ("a b c d e f g", "a c e g x", 8 / 12),
        ("Größe!", "größe", 1),
        ("x", "y", 0),
        ("", "y", 0),
        ("y", ("x", "y"), 1),
    ],
)
async def test_rouge_l_is_that_of_lin(text: str, target: Any, expected: float) -> None:
    assert (await score(RougeL, text, target)).value == pytest.approx(expected)


#: What rouge-score 0.1.2 says: RougeScorer(["rougeL"]).score(target, text)["rougeL"].fmeasure
ROUGE_SCORE = [
    (
        "The quick brown dog jumps on the log, twice.",
        "The quick brown fox jumps over the lazy dog.",
        0.5555555555555556,
    ),
    ("Paris is the capital of France and its largest city.", "The capital of France is Paris.", 0.5),
    ("a_b state-of-the-art 3.5 don't", "state of the art: 3.5, do not a b", 0.6),
    ("b a b a c a b b a c", "a b c a b c a b c", 0.7368421052631577),
    ("to be or not to be that is the question", "the question is to be or not to be", 0.631578947368421),
]


@pytest.mark.parametrize(("text", "target", "expected"), ROUGE_SCORE)
async def test_rouge_l_agrees_with_rouge_score(text: str, target: str, expected: float) -> None:
    assert (await score(RougeL, text, target)).value == pytest.approx(expected, abs=1e-9)


async def test_the_nearest_target_gives_the_evidence() -> None:
    found = await score(RougeL, "police kill the gunman", ("Rome", "police killed the gunman"))
    assert found.evidence == {"precision": 0.75, "recall": 0.75}


PAIRS = [
    ("The cat is on the mat.", ("There is a cat on the mat.", "The cat sat on the mat.")),
    ("The dog bit the man.", ("The dog bit the man.", "The dog had bit the man.")),
    ("It wasn't surprising.", ("It was not unexpected.", "No one was surprised.")),
    ("The man had just bitten him.", ("The man bit him first.", "The man had bitten the dog.")),
    ("Die Beschlußvorlage lag vor", "Der Beschluss lag vor."),
    ("今天天气很好", "今天的天气很好。"),
    ("wrong", "right"),
    ("", "right"),
    ("same", "same"),
]


@pytest.mark.parametrize(("text", "target"), PAIRS)
@pytest.mark.parametrize(
    "settings", [{}, {"lowercase": True}, {"tokenize": "intl"}, {"tokenize": "char"}, {"tokenize": "zh"}]
)
async def test_bleu_is_sacrebleus(text: str, target: Any, settings: dict[str, Any]) -> None:
    wanted = (
        sentence_bleu(text, [target] if isinstance(target, str) else list(target), **settings).score / 100
    )
    assert (await score(Bleu, text, target, **settings)).value == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(("text", "target"), PAIRS)
@pytest.mark.parametrize("settings", [{}, {"word_order": 2}])
async def test_chrf_is_sacrebleus(text: str, target: Any, settings: dict[str, Any]) -> None:
    wanted = (
        sentence_chrf(text, [target] if isinstance(target, str) else list(target), **settings).score / 100
    )
    assert (await score(Chrf, text, target, **settings)).value == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("kind", [Bleu, Chrf])
async def test_letter_case_counts_unless_it_is_told_not_to(kind: Any) -> None:
    assert (await score(kind, "ONE CAT SITS HERE", "one cat sits here", lowercase=True)).value == 1
    assert (await score(kind, "ONE CAT SITS HERE", "one cat sits here")).value == 0


@pytest.mark.parametrize("kind", [Bleu, Chrf])
async def test_the_signature_says_how_the_number_came_about(kind: Any) -> None:
    signature = (await score(kind, "a cat", "a cat")).evidence["signature"]
    assert "version:" in signature
    assert "nrefs:1" in signature


@pytest.mark.parametrize("kind", [F1, RougeL, Bleu, Chrf])
async def test_a_case_without_a_target_cannot_be_judged(kind: Any) -> None:
    with pytest.raises(ScorerError, match="c1 has no target"):
        await score(kind, "a cat", None)


@pytest.mark.parametrize("kind", [F1, RougeL, Bleu, Chrf])
async def test_the_contract_holds_for_a_long_target(kind: Any) -> None:
    of = case(("the cat sat on the mat " * 2_000, "\u202e\x00", "[" * 2_000))
    await check_scorer(kind, {}, case=of, reply="the cat sat on a mat")


WITHOUT_THE_EXTRA = """
import asyncio, sys
sys.modules["sacrebleu"] = None  # as if it were not installed
from probes import ScorerError
from probes.scorers.translation import Bleu, Chrf
from tests.probes.cases import case, reply
for kind in (Bleu, Chrf):
    try:
        asyncio.run(kind(kind.Settings()).score(case("a"), reply("a")))
    except ScorerError as error:
        print(error)
"""


def test_without_the_extra_the_cure_is_named() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA], capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.splitlines() == [
        "bleu needs the library sacrebleu: pip install 'plumbline[bleu]'",
        "chrf needs the library sacrebleu: pip install 'plumbline[bleu]'",
    ], ended.stderr
