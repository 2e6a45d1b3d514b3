"""How a channel is told: one notice in, one receipt or one typed error out.

NotifyError    it was not told; `permanent` says whether trying again can help, `reason` is the metric label
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from alerts.notification import Notice


class Reason(StrEnum):
    """Why a notification failed; the `reason` label of plumbline_notifications_failed_total."""

    AUTH = "auth"  # key, scope or membership: a person must act
    NOT_FOUND = "not_found"  # the channel does not exist (any more)
    CLIENT = "client"  # the far side refused this message
    RATE_LIMITED = "rate_limited"
    SERVER = "server"
    NETWORK = "network"
    DEADLINE = "deadline"


class NotifyError(Exception):
    """A channel was not told.

    The message is shown to people: it never holds a token or the text of a notice.

    Attributes:
        detail: What happened and, where a person must act, the cure.
        permanent: The same notice would fail again; else it is tried again later.
        reason: A metric label.
        retry_after: Seconds that the far side asks us to wait; None if it did not say.
        code: The far side's own word for it; empty if it has none.
        uncertain: The far side may have acted all the same, so later attempts must look before they post.
    """

    def __init__(
        self,
        detail: str,
        *,
        permanent: bool,
        reason: Reason,
        retry_after: float | None = None,
        code: str = "",
        uncertain: bool = False,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.permanent = permanent
        self.reason = reason
        self.retry_after = retry_after
        self.code = code
        self.uncertain = uncertain


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """Proof that a channel was told, and how to find the message again.

    Attributes:
        channel: Name of the channel in the config.
        ref: The notifier's own reference (Slack: channel id, ts, ts of the last thread reply).
        note: One sentence where the way of telling needs a word ("posted anew: ..."); else empty.
    """

    channel: str
    ref: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` reads it back."""
        return {"v": 1, "channel": self.channel, "ref": dict(self.ref), "note": self.note}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Receipt":
        """Reads what `as_json` wrote."""
        return cls(channel=data["channel"], ref=data["ref"], note=data["note"])


class Notifier(Protocol):
    """Tells one channel. A plugin registers a class of this shape in `plumbline.notifiers`.

    It is made once per channel of the config as `NotifierClass(settings)` and never retries by itself:
    the delivery loop does, with the same notice.

    Attributes:
        api: The plugin contract it was written for; 1.
        Settings: A pydantic model of the channel's own keys in the config; it refuses unknown ones.
    """

    api: ClassVar[int]
    Settings: ClassVar[type[BaseModel]]

    def __init__(self, settings: Any) -> None: ...

    async def send(self, notice: Notice, previous: Receipt | None, *, again: bool) -> Receipt:
        """Tells the channel.

        Args:
            notice: What to tell; its texts are hostile input.
            previous: The receipt of the last notice of this incident on this channel, so that it can be
                edited; None if nothing was told yet.
            again: An earlier attempt of this same notice ended unknown (crash, timeout): look for what it
                may have left before posting anything.

        Raises:
            NotifyError: The channel was not told, or not wholly.
        """
        ...

    async def close(self) -> None:
        """Lets go of connections. Calling it twice does no harm."""
        ...
