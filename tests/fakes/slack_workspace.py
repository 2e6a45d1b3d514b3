"""What a Slack workspace holds: messages with edits and threads, written and read as the Web API does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.slack_limits import problem

Answer = dict[str, Any]


@dataclass
class Message:
    """One message of a channel; `edits` are the versions before the present one, oldest first."""

    channel: str
    ts: str
    content: Answer
    thread_ts: str | None = None
    edits: list[Answer] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The fallback text."""
        return str(self.content["text"])

    @property
    def blocks(self) -> list[Answer]:
        """The blocks as they were sent."""
        return list(self.content.get("blocks", []))

    @property
    def metadata(self) -> Answer:
        """Who posted it for what."""
        return dict(self.content.get("metadata", {}))

    @property
    def shown(self) -> str:
        """All that a reader sees, in the markup that was sent; blocks are apart by a line break."""
        return "\n".join(text["text"] for block in self.blocks for text in _texts(block)) or self.text

    def as_slack(self, with_metadata: bool) -> Answer:
        """The message as an answer of the API holds it."""
        answer: Answer = {
            "type": "message",
            "user": "U0BOT",
            "bot_id": "B0BOT",
            "ts": self.ts,
            **self.content,
        }
        if self.thread_ts:
            answer["thread_ts"] = self.thread_ts
        if self.edits:
            answer["edited"] = {"user": "U0BOT"}
        if not with_metadata:
            answer.pop("metadata", None)
        return answer


class Workspace:
    """Every message by ts; replies are among them."""

    def __init__(self, channels: tuple[str, ...], page: int, clock: Callable[[], float]) -> None:
        self.channels = set(channels)
        self.messages: dict[str, Message] = {}
        self._page = page
        self._clock = clock
        self._last = 0

    def act(self, method: str, arguments: Answer) -> Answer:
        """Does what one call of the API asks."""
        if method == "auth.test":
            return {"ok": True, "team": "Fake", "user": "plumbline", "user_id": "U0BOT", "bot_id": "B0BOT"}
        acts = {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
        }
        if method not in acts:
            return refused("unknown_method")
        if arguments.get("channel") not in self.channels:
            return refused("channel_not_found")
        return acts[method](arguments)

    def _post(self, arguments: Answer) -> Answer:
        if error := problem(arguments):
            return refused(error)
        thread = arguments.get("thread_ts")
        if thread is not None and thread not in self.messages:
            return refused("cannot_reply_to_message")
        message = Message(arguments["channel"], self._ts(), _content(arguments), thread)
        self.messages[message.ts] = message
        return {"ok": True, "channel": message.channel, "ts": message.ts, "message": message.as_slack(True)}

    def _update(self, arguments: Answer) -> Answer:
        message = self.messages.get(arguments.get("ts", ""))
        if message is None or message.channel != arguments["channel"]:
            return refused("message_not_found")
        if error := problem(arguments, longest=4000):
            return refused(error)
        message.edits.append(message.content)
        message.content = {**message.content, **_content(arguments)}
        return {"ok": True, "channel": message.channel, "ts": message.ts, "text": message.text}

    def _history(self, arguments: Answer) -> Answer:
        top = [each for each in self._since(arguments) if each.thread_ts is None]
        return self._pages(top[::-1], arguments)  # newest first

    def _replies(self, arguments: Answer) -> Answer:
        parent = self.messages.get(arguments.get("ts", ""))
        if parent is None:
            return refused("thread_not_found")
        replies = [each for each in self._since(arguments) if each.thread_ts == parent.ts]
        return self._pages([parent, *replies], arguments)  # the parent always comes along

    def _since(self, arguments: Answer) -> list[Message]:
        oldest = float(arguments.get("oldest", 0))
        every = self.messages.values()
        return [each for each in every if each.channel == arguments["channel"] and float(each.ts) > oldest]

    def _pages(self, found: list[Message], arguments: Answer) -> Answer:
        start = int(arguments.get("cursor") or 0)
        end = start + min(int(arguments.get("limit", 100)), self._page)
        with_metadata = arguments.get("include_all_metadata") in {"1", "true", True}
        return {
            "ok": True,
            "messages": [each.as_slack(with_metadata) for each in found[start:end]],
            "has_more": end < len(found),
            "response_metadata": {"next_cursor": str(end) if end < len(found) else ""},
        }

    def _ts(self) -> str:
        self._last = max(self._last + 1, int(self._clock() * 1_000_000))
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"


def refused(error: str) -> Answer:
    """The answer with which Slack refuses; HTTP says 200 all the same."""
    scope = {"needed": "channels:history", "provided": "chat:write"} if error == "missing_scope" else {}
    return {"ok": False, "error": error, **scope}


def _content(arguments: Answer) -> Answer:
    return {key: arguments[key] for key in ("text", "blocks", "metadata") if key in arguments}


def _texts(block: Answer) -> list[Answer]:
    return [block["text"]] if "text" in block else list(block.get("elements", []))
