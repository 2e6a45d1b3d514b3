"""When a signal matters: rules and the state that each keeps per signal."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from alerts.signal import Signal, digest


class Phase(StrEnum):
    """Where a rule stands. `unknown` (not evaluated, or not known) is not OK."""

    UNKNOWN = "unknown"
    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Says when one signal matters.

    Attributes:
        name: Identity of the rule.
        signal: The name of the signals that it watches.
        above: It matters while the value is greater than this.
        hold: How long it must matter before the rule fires.
        keep_firing: How long it must have stopped before the rule stops firing.
        group_by: Firing rules with equal values of these labels share one incident.
    """

    name: str
    signal: str
    above: float = 0.5
    hold: timedelta = timedelta(0)
    keep_firing: timedelta = timedelta(0)
    group_by: tuple[str, ...] = ("endpoint",)

    @property
    def checksum(self) -> str:
        """Changes with every edit, so that stored state of an edited rule is recognised."""
        times = (self.hold.total_seconds(), self.keep_firing.total_seconds())
        return digest(self.name, self.signal, self.above, times, self.group_by)

    def matters(self, signal: Signal) -> bool:
        """Whether the signal says, now, that the matter is present."""
        return signal.value is not None and signal.value > self.above

    def group(self, labels: Mapping[str, str]) -> dict[str, str]:
        """The labels that its incident is made of; a missing one counts as empty."""
        return {key: labels.get(key, "") for key in self.group_by}


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleState:
    """What one rule remembers of one signal.

    Attributes:
        phase: unknown, inactive, pending or firing.
        since: When the phase began.
        checksum: Of the rule that it was evaluated under.
        quiet_since: While firing: since when the matter has been seen to be gone.
    """

    phase: Phase
    since: datetime
    checksum: str
    quiet_since: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` reads it back."""
        return {
            "v": 1,
            "phase": self.phase.value,
            "since": self.since.isoformat(),
            "checksum": self.checksum,
            "quiet_since": self.quiet_since.isoformat() if self.quiet_since else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "RuleState":
        """Reads what `as_json` wrote."""
        quiet = data["quiet_since"]
        return cls(
            phase=Phase(data["phase"]),
            since=datetime.fromisoformat(data["since"]),
            checksum=data["checksum"],
            quiet_since=datetime.fromisoformat(quiet) if quiet else None,
        )


def step(rule: Rule, state: RuleState | None, signal: Signal, now: datetime) -> RuleState:
    """Evaluates one rule on one signal; returns an equal state where nothing has changed.

    Args:
        rule: The rule as it is configured now.
        state: What the last evaluation left; None before the first.
        signal: What is known now.
        now: The slot. It may stand still or go back: times already stored are then never in the future.
    """
    current = _current(rule, state, now)
    if signal.value is None:
        return _unknown(current, now)
    if rule.matters(signal):
        return _present(rule, current, now)
    return _absent(rule, current, now)


def _current(rule: Rule, state: RuleState | None, now: datetime) -> RuleState:
    """The state to start from: an edited rule starts over, but what fires stays firing until evaluated."""
    fresh = RuleState(phase=Phase.UNKNOWN, since=now, checksum=rule.checksum)
    if state is None or (state.checksum != rule.checksum and state.phase is not Phase.FIRING):
        return fresh
    quiet = min(state.quiet_since, now) if state.quiet_since else None
    return replace(state, checksum=rule.checksum, since=min(state.since, now), quiet_since=quiet)


def _enter(state: RuleState, phase: Phase, now: datetime) -> RuleState:
    return state if state.phase is phase else replace(state, phase=phase, since=now, quiet_since=None)


def _unknown(state: RuleState, now: datetime) -> RuleState:
    if state.phase is Phase.FIRING:
        return replace(state, quiet_since=None)  # not knowing is no recovery
    return _enter(state, Phase.UNKNOWN, now)


def _present(rule: Rule, state: RuleState, now: datetime) -> RuleState:
    if state.phase is Phase.FIRING:
        return replace(state, quiet_since=None)
    held = now - state.since if state.phase is Phase.PENDING else timedelta(0)
    return _enter(state, Phase.FIRING if held >= rule.hold else Phase.PENDING, now)


def _absent(rule: Rule, state: RuleState, now: datetime) -> RuleState:
    if state.phase is not Phase.FIRING:
        return _enter(state, Phase.INACTIVE, now)
    quiet = state.quiet_since or now
    if now - quiet >= rule.keep_firing:
        return _enter(state, Phase.INACTIVE, now)
    return replace(state, quiet_since=quiet)
