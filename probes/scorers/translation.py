"""The scorers bleu and chrf: sacreBLEU's numbers for one reply (Post 2018), from the optional extra `bleu`."""

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from probes.case import Case
from probes.errors import ScorerError
from probes.reply import Reply
from probes.scorer import Score
from probes.scorers.judging import targets_of
from probes.scorers.prose import head

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

_MISSING = "{0} needs the library sacrebleu: pip install 'plumbline[bleu]'"


class BleuSettings(BaseModel):
    """Parameters of `bleu`.

    Attributes:
        tokenize: sacreBLEU's tokenizer; `zh` for Chinese, `char` for other scripts without spaces.
        lowercase: Upper and lower case are alike.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    lowercase: bool = False


class Bleu:
    """Sentence BLEU (Papineni et al. 2002) against all targets at once, over 100.

    Exponential smoothing and effective order, as `sacrebleu.sentence_bleu` has them.
    """

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = True
    Settings: ClassVar[type[BaseModel]] = BleuSettings

    def __init__(self, settings: BleuSettings) -> None:
        self._settings = settings

    async def score(self, case: Case, reply: Reply) -> Score:
        """Compares the reply with the targets.

        Raises:
            ScorerError: The case has no target, or sacrebleu is not installed.
        """
        return await asyncio.to_thread(self._judge, case, reply.text)

    @cached_property
    def _metric(self) -> "BLEU":
        try:
            from sacrebleu.metrics.bleu import BLEU
        except ImportError:
            raise ScorerError(_MISSING.format("bleu")) from None
        return BLEU(
            tokenize=self._settings.tokenize,
            lowercase=self._settings.lowercase,
            effective_order=True,
            force=True,  # else it warns of text that looks tokenized; the number is the same
        )

    def _judge(self, case: Case, text: str) -> Score:
        return _scored(self._metric, case, text)


class ChrfSettings(BaseModel):
    """Parameters of `chrf`.

    Attributes:
        word_order: Longest word n-gram that counts beside the characters; 2 gives chrF++.
        lowercase: Upper and lower case are alike.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    word_order: Annotated[int, Field(ge=0, le=4)] = 0
    lowercase: bool = False


class Chrf:
    """ChrF (Popović 2015; character n-grams up to 6, beta 2) against the nearest target, over 100."""

    api: ClassVar[int] = 1
    version: ClassVar[int] = 1
    needs_target: ClassVar[bool] = True
    Settings: ClassVar[type[BaseModel]] = ChrfSettings

    def __init__(self, settings: ChrfSettings) -> None:
        self._settings = settings

    async def score(self, case: Case, reply: Reply) -> Score:
        """Compares the reply with the targets.

        Raises:
            ScorerError: The case has no target, or sacrebleu is not installed.
        """
        return await asyncio.to_thread(self._judge, case, reply.text)

    @cached_property
    def _metric(self) -> "CHRF":
        try:
            from sacrebleu.metrics.chrf import CHRF
        except ImportError:
            raise ScorerError(_MISSING.format("chrf")) from None
        return CHRF(word_order=self._settings.word_order, lowercase=self._settings.lowercase)

    def _judge(self, case: Case, text: str) -> Score:
        return _scored(self._metric, case, text)


def _scored(metric: "BLEU | CHRF", case: Case, text: str) -> Score:
    found = metric.sentence_score(head(text), [head(target) for target in targets_of(case)])
    signature = metric.get_signature().format(short=False)
    value = min(1.0, max(0.0, found.score / 100))  # rounding may leave 100.00000000000004
    return Score(value=value, evidence={"signature": signature})
