"""How a reply becomes a number between 0 and 1, or an honest None."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from probes.case import Case
from probes.reply import Reply


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A value in 0..1, or None with the reason why there is none. Never NaN.

    Attributes:
        value: 0 (wrong) to 1 (right).
        reason: Why there is no value; a short word that is also a metric label.
        explanation: One sentence for people. It may quote the reply, so treat it as hostile text.
        evidence: What the scorer saw (for example the number that it extracted).

    Raises:
        ValueError: The value is outside 0..1 or not finite, or not exactly one of value and reason is given.
    """

    value: float | None
    reason: str | None = None
    explanation: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError("a score has either a value or a reason why it has none")
        if self.value is not None and not (math.isfinite(self.value) and 0.0 <= self.value <= 1.0):
            raise ValueError(f"a score lies in 0..1, not {self.value!r}")


class Scorer(Protocol):
    """Judges one reply. A plugin registers a class of this shape in `plumbline.scorers`.

    It is made once per (kind, params) as `ScorerClass(settings)` and used by many replies at a time.

    Attributes:
        api: The plugin contract it was written for; 1.
        version: Raised by its author whenever the same reply may score differently than before.
        needs_target: Whether it compares with a target; if not, live traffic can use it too.
        Settings: A pydantic model of its parameters.
    """

    api: ClassVar[int]
    version: ClassVar[int]
    needs_target: ClassVar[bool]
    Settings: ClassVar[type[BaseModel]]

    async def score(self, case: Case, reply: Reply) -> Score:
        """Judges the reply to the case.

        Args:
            case: What was asked and expected.
            reply: What came back; hostile input.

        Raises:
            ScorerError: It cannot judge; the caller records None with a reason.
        """
        ...
