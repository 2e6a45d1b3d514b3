"""A notice in Slack's markup: whatever is not ours is escaped, and only the config calls people."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from alerts import text
from alerts.engine import TransitionKind
from alerts.hostile import cut, one_line, width
from alerts.incident import Incident
from alerts.notification import Notice
from alerts.signal import Severity

# Slack refuses the whole message where one of these is passed (block-kit reference, text object and header).
HEADER = 150
SECTION = 3000
TEXT = 3500  # chat.update takes 4000
LINE = 500  # still fits a section when every character has to be escaped
EVENT_TYPE = "plumbline_notice"

_SIGNS = {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠", Severity.INFO: "🔵"}
_RESOLVED = "✅"
_AT = re.compile(r"(?<!\w)@(?=\w)")

Block = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What chat.postMessage and chat.update take."""

    text: str
    blocks: list[Block]


def message(notice: Notice) -> Message:
    """The incident's one message in the channel, as it reads from now on."""
    head = f"{_sign(notice.incident)} {text.headline(notice)}"
    blocks = [_header(head)]
    if width(head) > HEADER:
        blocks.append(_section([f"*{mrkdwn(head)}*"]))
    if notice.mention and notice.incident.is_open:
        blocks.append(_mention(notice.mention))
    for section in text.sections(notice):
        title = [f"*{section.title}*"] if section.title else []
        blocks.append(_section([*title, *(mrkdwn(line, indent=True) for line in section.lines)]))
    blocks.append(_context(notice))
    return Message(text=_fallback(notice), blocks=blocks)


def reply(notice: Notice) -> Message:
    """The thread reply that makes people look: it got worse, or it is over."""
    blocks = [_mention(notice.mention)] if notice.mention and notice.incident.is_open else []
    blocks.append(_section([f"{_sign(notice.incident)} {mrkdwn(text.news(notice))}"]))
    return Message(text=_fallback(notice), blocks=blocks)


def wants_reply(notice: Notice) -> bool:
    """Whether an edit alone would go unseen."""
    return notice.kind in {TransitionKind.WORSENED, TransitionKind.RESOLVED}


def metadata(notice: Notice) -> dict[str, Any]:
    """How a message is recognised as ours; readable by the app only."""
    payload = {"notification": notice.id, "incident": notice.incident.id, "seq": notice.seq}
    return {"event_type": EVENT_TYPE, "event_payload": payload}


def mrkdwn(line: str, *, indent: bool = False) -> str:
    """One line in which nothing of Slack's markup is alive: no links, no mentions, no `@channel`."""
    depth = len(line) - len(line.lstrip(" ")) if indent else 0
    clean = defuse(one_line(line, LINE))
    return " " * depth + clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def defuse(line: str) -> str:
    """Names with a look-alike "@", which calls nobody."""
    return _AT.sub("＠", line)


def _sign(incident: Incident) -> str:
    return _SIGNS[incident.severity] if incident.is_open else _RESOLVED


def _header(head: str) -> Block:
    # Plain text is shown as it is, so look-alikes take the place of what markup could be made of.
    words = cut(defuse(head).replace("<", "‹").replace(">", "›"), HEADER)
    return {"type": "header", "text": {"type": "plain_text", "text": words, "emoji": False}}


def _mention(mention: str) -> Block:
    # The one text that Slack may parse: it comes from the config and is passed as it is.
    return {"type": "section", "text": {"type": "mrkdwn", "text": cut(mention, SECTION), "verbatim": False}}


def _section(lines: Iterable[str]) -> Block:
    return {"type": "section", "text": _verbatim(_fit(lines, SECTION))}


def _context(notice: Notice) -> Block:
    pages = [f"<{_address(url)}|{mrkdwn(name)}>" for name, url in text.links(notice)]
    return {"type": "context", "elements": [_verbatim(_fit([mrkdwn(text.footer(notice)), *pages], SECTION))]}


def _verbatim(markup: str) -> Block:
    return {"type": "mrkdwn", "text": markup, "verbatim": True}  # plain words never become links or mentions


def _fallback(notice: Notice) -> str:
    lines = text.render_text(notice).split("\n")
    return _fit((mrkdwn(line, indent=True) for line in lines), TEXT)


def _address(url: str) -> str:
    return url.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")


def _fit(lines: Iterable[str], limit: int) -> str:
    """As many whole lines as fit; a line is never cut, so no markup is left open."""
    kept: list[str] = []
    room = limit - 2  # for "\n…"
    for line in lines:
        room -= width(line) + 1
        if room < 0:
            return "\n".join([*kept, "…"])
        kept.append(line)
    return "\n".join(kept)
