"""The product's detectors that are measured, and what is read of their steps."""

import math

from monitor.drift.detector import Detector, Step
from monitor.drift.failures import FailureMixture
from monitor.drift.laws import GAIN_WEIGHTS
from monitor.drift.paired import PairedMixture
from monitor.drift.ranks import RankBets


def score() -> Detector:
    """Scores: passes and failures, or grades."""
    return PairedMixture()


def ranks() -> Detector:
    """Times and tokens, upward."""
    return RankBets()


def failures() -> Detector:
    """Requests that fail."""
    return FailureMixture()


def gained(step: Step) -> float:
    """The evidence for a gain, in nats; a verdict shows it only once it is told."""
    rows = step.state["mixture"][: len(GAIN_WEIGHTS)]
    held = sum(weight * math.expm1(row[0]) for weight, row in zip(GAIN_WEIGHTS, rows, strict=True))
    return math.log(max(1.0, held))
