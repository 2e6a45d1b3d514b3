"""Scorers that count what reply and target share: f1 (words), rouge-l (words in order)."""

import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar

import regex
from pydantic import BaseModel, ConfigDict

from probes.case import Case
from probes.reply import Reply
from probes.scorer import Score
from probes.scorers.judging import judge, targets_of
from probes.scorers.prose import head

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = regex.compile(r"\b(?:a|an|the)\b")
_ROUGE_WORD = regex.compile(r"[^\W_]+")


class F1Settings(BaseModel):
    """`f1` has no parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class F1:
    """F1 of the words that reply and target share; of several targets the best one counts.

    Words are read as the evaluation script of SQuAD reads them (Rajpurkar et al. 2016): lower case, without ASCII
    punctuation and without a, an, the. Where one side has no word left, 1 if the other has none either (SQuAD 2.0).
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = True
    Settings: ClassVar[type[BaseModel]] = F1Settings

    def __init__(self, settings: F1Settings) -> None:
        self._settings = settings

    async def score(self, case: Case, reply: Reply) -> Score:
        """Counts the shared words.

        Raises:
            ScorerError: The case has no target.
        """
        return await judge(self._judge, case, reply)

    def _judge(self, case: Case, text: str) -> Score:
        return _best(_squad_words, _shared, case, text)


class RougeLSettings(BaseModel):
    """`rouge-l` has no parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RougeL:
    """ROUGE-L, F-measure: the longest common subsequence of words (Lin 2004, section 3; beta is 1).

    Words are runs of letters and digits in lower case, without stemming: what Google's `rouge-score` does,
    which the field quotes, but in every script and not in ASCII only. Of several targets the best one counts.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = True
    Settings: ClassVar[type[BaseModel]] = RougeLSettings

    def __init__(self, settings: RougeLSettings) -> None:
        self._settings = settings

    async def score(self, case: Case, reply: Reply) -> Score:
        """Finds the longest common subsequence.

        Raises:
            ScorerError: The case has no target.
        """
        return await judge(self._judge, case, reply)

    def _judge(self, case: Case, text: str) -> Score:
        return _best(_rouge_words, _subsequence, case, text)


def _best(
    words: Callable[[str], list[str]],
    shared: Callable[[Sequence[str], Sequence[str]], int],
    case: Case,
    text: str,
) -> Score:
    said = words(head(text))
    found = []
    for target in targets_of(case):
        wanted = words(head(target))
        if not said or not wanted:
            found.append((float(said == wanted), 0.0, 0.0))
            continue
        common = shared(said, wanted)
        precision, recall = common / len(said), common / len(wanted)
        f1 = 2 * precision * recall / (precision + recall) if common else 0.0
        found.append((min(1.0, f1), precision, recall))
    value, precision, recall = max(found)
    return Score(value=value, evidence={"precision": round(precision, 4), "recall": round(recall, 4)})


def _squad_words(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()


def _rouge_words(text: str) -> list[str]:
    return _ROUGE_WORD.findall(text.lower())


def _shared(said: Sequence[str], wanted: Sequence[str]) -> int:
    return (Counter(said) & Counter(wanted)).total()


def _subsequence(said: Sequence[str], wanted: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table at a time as the bits of one number.

    Crochemore, Iliopoulos, Pinzon and Reid 2001: fast enough for a hostile reply, where the table itself is not.
    """
    places: dict[str, int] = {}
    for index, word in enumerate(wanted):
        places[word] = places.get(word, 0) | 1 << index
    full = (1 << len(wanted)) - 1
    row = full
    for word in said:
        hits = row & places.get(word, 0)
        if hits:
            row = (row + hits | row - hits) & full
    return len(wanted) - row.bit_count()
