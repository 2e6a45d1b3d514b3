"""What Slack's answers mean: try again or not, which metric label, which cure."""

import math
import re
from collections.abc import Mapping
from typing import Any

from alerts.notifier import NotifyError, Reason

#: An edit ends so where the message is gone or may no longer be edited; a new one takes its place.
CANNOT_EDIT = frozenset({"message_not_found", "edit_window_closed", "cant_update_message"})

_LONGEST_WAIT = 3600.0
_CURES = {
    "not_authed": (Reason.AUTH, "set the channel's token"),
    "invalid_auth": (Reason.AUTH, "check the channel's token"),
    "token_revoked": (Reason.AUTH, "install the app again and set its new token"),
    "token_expired": (Reason.AUTH, "set a fresh token"),
    "account_inactive": (Reason.AUTH, "the app was removed: install it again and set its new token"),
    "missing_scope": (Reason.AUTH, "add the scope to the app, then install it again"),
    "not_in_channel": (Reason.AUTH, "invite the app to the channel"),
    "restricted_action": (Reason.AUTH, "let the app post in the channel"),
    "channel_not_found": (Reason.NOT_FOUND, "check the channel's id; into a private one invite the app"),
    "is_archived": (Reason.NOT_FOUND, "the channel is archived: choose another one"),
    "message_not_found": (Reason.NOT_FOUND, "the message was deleted"),
}
_SLOW_DOWN = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_THEIRS = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)


def refusal(method: str, status: int, headers: Mapping[str, str], body: Any) -> NotifyError:
    """The error that one answer of Slack stands for.

    Args:
        method: Of the Web API ("chat.update").
        status: HTTP status.
        headers: HTTP headers.
        body: The parsed answer; anything that is not an object is treated as no answer of Slack.
    """
    answer = body if isinstance(body, Mapping) else {}
    code = _word(answer.get("error"))
    if status == 429 or code in _SLOW_DOWN:
        return NotifyError(
            f"Slack limits the rate of {method}",
            permanent=False,
            reason=Reason.RATE_LIMITED,
            retry_after=_seconds(headers.get("Retry-After")),
            code=code or "ratelimited",
        )
    if status >= 500 or code in _THEIRS or not code:
        told = code or ("not an answer of its Web API" if status == 200 else f"HTTP {status}")
        return NotifyError(
            f"Slack failed at {method} ({told})",
            permanent=False,
            reason=Reason.SERVER,
            code=code,
            uncertain=True,
        )
    reason, cure = _CURES.get(code, (Reason.CLIENT, "see the method's page in Slack's reference"))
    if needed := _word(answer.get("needed")):
        cure = f"{cure} ({needed})"
    return NotifyError(f"Slack refused {method}: {code}; {cure}", permanent=True, reason=reason, code=code)


def _word(value: Any) -> str:
    """A code of Slack's; whatever else a server in between may have sent is not repeated."""
    return value if isinstance(value, str) and re.fullmatch(r"[a-z0-9_:.,-]{1,100}", value) else ""


def _seconds(header: str | None) -> float | None:
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return min(seconds, _LONGEST_WAIT) if math.isfinite(seconds) and seconds >= 0 else None
