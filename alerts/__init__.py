"""Rules, incidents and who is told of them. The names here are what plugin authors use (SemVer)."""

from alerts.engine import Changes, Transition, TransitionKind, close, evaluate, state_key
from alerts.incident import Incident, IncidentState, Member
from alerts.notification import Notice, owed
from alerts.notifier import Notifier, NotifyError, Reason, Receipt
from alerts.route import Decision, Route, destinations, route
from alerts.rule import Phase, Rule, RuleState, step
from alerts.signal import Severity, Signal
from alerts.text import render_text

#: The plugin contract of notifiers.
API = 1

__all__ = [
    "API",
    "Changes",
    "Decision",
    "Incident",
    "IncidentState",
    "Member",
    "Notice",
    "Notifier",
    "NotifyError",
    "Phase",
    "Reason",
    "Receipt",
    "Route",
    "Rule",
    "RuleState",
    "Severity",
    "Signal",
    "Transition",
    "TransitionKind",
    "close",
    "destinations",
    "evaluate",
    "owed",
    "render_text",
    "route",
    "state_key",
    "step",
]
