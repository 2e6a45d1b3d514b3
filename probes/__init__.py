"""Asks an endpoint and scores the reply. The names here are what plugin authors use (SemVer)."""

from probes.case import Case, Message, Provenance, ScorerSpec
from probes.client import Client
from probes.errors import EndpointError, ProbeError, ScorerError
from probes.outcome import ENDPOINT_FAILURES, NETWORK_FAILURES, OURS, Outcome
from probes.probe import run
from probes.reply import Reply, Request, Timings, Usage
from probes.result import Ask, Result
from probes.scorer import Needs, Parts, Score, Scorer

#: The plugin contract of clients and scorers.
API = 1

__all__ = [
    "API",
    "ENDPOINT_FAILURES",
    "NETWORK_FAILURES",
    "OURS",
    "Ask",
    "Case",
    "Client",
    "EndpointError",
    "Message",
    "Needs",
    "Outcome",
    "Parts",
    "ProbeError",
    "Provenance",
    "Reply",
    "Request",
    "Result",
    "Score",
    "Scorer",
    "ScorerError",
    "ScorerSpec",
    "Timings",
    "Usage",
    "run",
]
