"""How a reply becomes a number between 0 and 1, or an honest None."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from probes.case import Case, JsonObject
from probes.client import Client
from probes.reply import Reply

#: Reasons are values of a metric's label, so text of a reply must not get there.
_REASON = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A value in 0..1, or None with the reason why there is none. Never NaN.

    Attributes:
        value: 0 (wrong) to 1 (right).
        reason: Why there is no value; a short word that is also a metric label.
        explanation: One sentence for people. It may quote the reply, so treat it as hostile text.
        evidence: What the scorer saw (for example the number that it extracted).

    Raises:
        ValueError: The value is outside 0..1 or not finite, the reason is no word, or not exactly one of the
            two is given.
    """

    value: float | None
    reason: str | None = None
    explanation: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError("a score has either a value or a reason why it has none")
        if self.reason is not None and not _REASON.fullmatch(self.reason):
            raise ValueError(f"a reason is one short word of a-z, 0-9 and _, not {self.reason[:40]!r}")
        if self.value is not None and not (math.isfinite(self.value) and 0.0 <= self.value <= 1.0):
            raise ValueError(f"a score lies in 0..1, not {self.value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """What a scorer leans on, as its settings say.

    Attributes:
        endpoints: Names of the endpoints that it asks: a judge, an embedder.
        scorers: Kind and parameters of each scorer whose scores it puts together, in order.
    """

    endpoints: tuple[str, ...] = ()
    scorers: tuple[tuple[str, JsonObject], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a scorer leans on, ready for use.

    Attributes:
        clients: Endpoint -> the client to ask it through; each question is paid for, within its limits.
        scorers: The scorers that it needs, in the order in which it named them.
    """

    clients: Mapping[str, Client] = field(default_factory=dict)
    scorers: tuple["Scorer", ...] = ()


class Scorer(Protocol):
    """Judges one reply. A plugin registers a class of this shape in `plumbline.scorers`.

    It is made once per (kind, params) as `ScorerClass(settings)` and used by many replies at a time. One that
    leans on endpoints or on other scorers has a class method `needs(settings) -> Needs` and is made as
    `ScorerClass(settings, parts)`; it lets an `EndpointError` of its clients pass.

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
            EndpointError: An endpoint that it leans on failed; that is never held against the judged one.
        """
        ...
