"""How much is simulated: all of it, or the short form."""

from dataclasses import dataclass

#: The run length that detectors are matched at, in rounds.
MATCHED = 2000.0


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Numbers of streams and rounds.

    Attributes:
        control: Streams recorded in control, for the threshold at the matched run length.
        rounds: Rounds of each of them.
        changed: Streams that are changed, those in control among them.
        ratio: Streams for a realised run length.
        ratio_rounds: Rounds of each of them.
        slow: Streams of a kind that is played through the protocol, round by round.
        bootstraps: Captures whose thresholds are corrected by the full bootstrap.
        optimum: Streams for the optimum.
        years: Of an endpoint's life; 0 leaves them out.
        rivals: Streams for river's detectors; 0 leaves them out.
        whole: Whether every row is measured, or those only that two minutes allow.
    """

    control: int
    rounds: int
    changed: int
    ratio: int
    ratio_rounds: int
    slow: int
    bootstraps: int
    optimum: int
    years: float
    rivals: int
    whole: bool


FULL = Effort(
    control=200,
    rounds=4000,
    changed=400,
    ratio=80,
    ratio_rounds=4000,
    slow=60,
    bootstraps=6,
    optimum=1000,
    years=200.0,
    rivals=50,
    whole=True,
)
SHORT = Effort(
    control=40,
    rounds=2000,
    changed=80,
    ratio=20,
    ratio_rounds=2000,
    slow=12,
    bootstraps=1,
    optimum=200,
    years=0.0,
    rivals=0,
    whole=False,
)
