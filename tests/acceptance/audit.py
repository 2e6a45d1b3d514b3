"""Whether a history of kills lost or doubled anything: judged from the store and the fakes' logs alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from monitor.store.tables import ledger, notifications, permits, transitions
from tests.acceptance.books import Books, prompts
from tests.acceptance.daemons import Life
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_workspace import Message

#: What a kill may lose of what was paid for.
_LAST_SECONDS = 1.0
#: For how long answers may still go out to one who is dead.
_ON_THE_WIRE = 0.3


@dataclass(kw_only=True)
class Audit:
    """What was found; the lists are empty after a history without loss.

    `safe_replies` are those that had come early enough before the end of their life to be stored.
    """

    lives: int
    kills: int
    outcomes: Counter[str] = field(default_factory=Counter)
    replies: int = 0
    safe_replies: int = 0
    paid_twice: int = 0
    transitions: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    slots_lost: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    replies_lost: list[str] = field(default_factory=list)
    still_held: list[str] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, list[str]]:
        """Everything that must not be, by kind."""
        names = ("slots_lost", "untold", "doubled", "replies_lost", "still_held", "bugs")
        return {name: found for name in names if (found := getattr(self, name))}


async def audit(
    kept: Books, lives: Sequence[Life], answered: Sequence[tuple[float, str]], slack: FakeSlack
) -> Audit:
    """Goes through everything.

    Args:
        kept: The store, when all daemons have ended.
        lives: The daemons in order; what a life is given of the replies goes by its span.
        answered: When the endpoint had answered a prompt, for every answer.
        slack: What Slack holds.
    """
    found = Audit(lives=len(lives), kills=sum(life.status == -9 for life in lives))
    for row in await kept.rounds():
        found.outcomes[f"{row.kind} {row.outcome}"] += 1
        if row.state != "closed" or row.outcome is None:
            found.slots_lost.append(f"{row.id} of {row.slot} is {row.state}")
    rows = await kept.results()
    found.replies, found.paid_twice = len(rows), len(answered) - len(rows)
    safe = [(at, prompt) for at, prompt in answered if not any(_at_risk(at, life) for life in lives)]
    for number, life in enumerate(lives, 1):
        given, stored = _replies(life, rows, safe)
        found.safe_replies += given.total()
        found.replies_lost += [f"life {number}: {prompt}" for prompt in (given - stored).elements()]
        if "this is a bug" in life.said or "Traceback" in life.said:
            found.bugs.append(life.said)
    await _told(found, kept, slack)
    for row in await kept.rows(select(ledger)):
        if row.reserved_nano:
            found.still_held.append(f"{row.reserved_nano} nano-dollars of {row.endpoint}")
    found.still_held += [f"permit of {row.round_id}" for row in await kept.rows(select(permits))]
    return found


def _at_risk(at: float, life: Life) -> bool:
    """Whether an answer may have been this killed life's, and too late to be stored."""
    return life.status == -9 and life.over - _LAST_SECONDS < at < life.over + _ON_THE_WIRE


def _replies(
    life: Life, rows: Sequence[Any], answered: Sequence[tuple[float, str]]
) -> tuple[Counter[str], Counter[str]]:
    """What was answered during a life, and what was stored of it."""
    began, over = (datetime.fromtimestamp(at, UTC) for at in (life.began, life.over))
    given = Counter(prompt for at, prompt in answered if life.began <= at <= life.over)
    return given, prompts([row for row in rows if began <= row.started <= over])


async def _told(found: Audit, kept: Books, slack: FakeSlack) -> None:
    owed = await kept.rows(select(notifications))
    told = {(row.incident_id, row.seq): row for row in owed}
    every = slack.workspace.messages.values()
    shown = {mark["notification"] for message in every for mark in _marks(message)}
    last: Counter[str] = Counter()
    for step in await kept.rows(select(transitions).order_by(transitions.c.incident_id, transitions.c.seq)):
        found.transitions[step.kind] += 1
        name = f"{step.kind} {step.seq} of {step.incident_id}"
        last[step.incident_id] += 1
        if step.seq != last[step.incident_id]:
            found.untold.append(f"{name} leaves a gap")
        row = told.get((step.incident_id, step.seq))
        if row is None or row.state not in ("sent", "merged"):
            found.untold.append(f"{name} is {'not owed' if row is None else row.state}")
        elif row.id not in shown:
            found.untold.append(f"{name} is not in Slack")
    found.messages = len(slack.posts)
    found.doubled += _twice("message of", [_marks(each)[0]["incident"] for each in slack.posts])
    answers = [_marks(each)[0]["notification"] for each in every if each.thread_ts is not None]
    found.doubled += _twice("reply for", answers)


def _marks(message: Message) -> list[dict[str, Any]]:
    """The metadata of all versions of a message, the first one first."""
    versions = [*message.edits, message.content]
    return [version["metadata"]["event_payload"] for version in versions]


def _twice(what: str, names: Sequence[str]) -> list[str]:
    return [f"{count} times {what} {name}" for name, count in Counter(names).items() if count > 1]
