"""All that alerts knows of the world: named values with labels."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

#: The labels that say what a signal is about; every other label may change without opening a second incident.
IDENTITY = ("endpoint", "source", "measure", "slice")


class Severity(StrEnum):
    """How much it matters, least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info, 2 for critical; compare these, not the words."""
        return tuple(Severity).index(self)


def digest(*parts: object) -> str:
    """16 hex digits of SHA-256 over the canonical JSON of the parts."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """One named value at one time.

    Attributes:
        name: What is reported; a rule watches one name.
        labels: `endpoint`, usually `source` and `measure`, and what the config adds (team, env ...).
        value: 1 where the matter is present, 0 where it is not, None where it is not known (learning).
        at: When it was measured; aware UTC.
        severity: How much it matters if it is present.
        summary: One sentence for on-call, with n and interval; may quote others, so it is hostile text.
        facts: The grounds, as plain JSON, in the order of reading; keys are shown to people as they are.
            `provisional: true` says that the baseline behind it was not accepted by anybody yet.

    Raises:
        ValueError: The value is not finite or the time has no zone.
    """

    name: str
    labels: Mapping[str, str]
    value: float | None
    at: datetime
    severity: Severity
    summary: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"signal {self.name}: a value is finite or None, not {self.value!r}")
        if self.at.tzinfo is None:
            raise ValueError(f"signal {self.name}: the time {self.at!r} has no zone")

    @property
    def fingerprint(self) -> str:
        """The same for the same matter on the same thing, whatever its other labels say."""
        return digest(self.name, {key: self.labels[key] for key in IDENTITY if key in self.labels})
