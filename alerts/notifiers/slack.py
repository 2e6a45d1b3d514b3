"""To Slack: one message per incident, edited as it goes on, with a thread reply where people must look."""

import logging
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from alerts.notification import Notice
from alerts.notifier import NotifyError, Reason, Receipt
from alerts.notifiers import slack_blocks
from alerts.notifiers.fields import Timeout
from alerts.notifiers.slack_errors import CANNOT_EDIT, refusal

if TYPE_CHECKING:
    pass

_LOOK_BACK = timedelta(minutes=1)  # Slack's clock and ours may differ
_PAGE = 200
_MOST_PAGES = 5


class SlackSettings(BaseModel):
    """The keys of a channel of kind `slack`.

    The app needs the scope chat:write; with channels:history (groups:history for a private channel) it also
    recognises what it had posted just before a crash.

    Attributes:
        token: Bot token (xoxb-...).
        channel: Id of the channel: edits need it, a name will not do.
        app_token: For buttons over Socket Mode; not used yet.
        api_url: Where the Web API is.
        timeout: Seconds for one call; a notice takes at most four, more only in a very busy channel.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr
    channel: str
    app_token: SecretStr = SecretStr("")
    api_url: str = Field(default="https://slack.com/api/", pattern=r"^https?://")
    timeout: Timeout = 10.0

    @field_validator("token")
    @classmethod
    def _is_given(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().strip():
            raise ValueError("is empty; give the app's bot token (xoxb-...)")
        return value

    @field_validator("channel")
    @classmethod
    def _is_id(cls, value: str) -> str:
        if not re.fullmatch(r"[CGD][A-Z0-9]{2,}", value):
            raise ValueError(
                "is no channel's id; write it like C0123456, as it stands in the channel's details"
            )
        return value


class SlackNotifier:
    """Posts and edits through Slack's Web API, over one pool of connections, with no retries of its own."""

    api: ClassVar[int] = 1
    Settings: ClassVar[type[BaseModel]] = SlackSettings

    def __init__(self, settings: SlackSettings) -> None:
        from slack_sdk.web.async_client import AsyncWebClient  # takes 0.2 s: only where Slack is used

        quiet = logging.getLogger("plumbline.slack_sdk")
        quiet.setLevel(logging.INFO)  # at DEBUG the SDK writes whole messages, and proxy passwords
        self._settings = settings
        self._client: AsyncWebClient = AsyncWebClient(
            token=settings.token.get_secret_value(),
            base_url=settings.api_url,
            retry_handlers=[],
            logger=quiet,
        )
        self._client.proxy = _proxy(settings.api_url)

    async def send(self, notice: Notice, previous: Receipt | None, *, again: bool) -> Receipt:
        """Posts the incident's message, or edits it and, where people must look, replies in its thread.

        Every step may be repeated: edits are idempotent, posts and replies are looked for when `again`.

        Raises:
            NotifyError: Slack was not reached or did not take it.
        """
        if previous is None or "ts" not in previous.ref:  # the channel may have been of another kind before
            return await self._post(notice, again=again)
        where, root = previous.ref["channel"], previous.ref["ts"]
        try:
            await self._edit(notice, where, root)
        except NotifyError as error:
            if error.code not in CANNOT_EDIT:
                raise
            note = f"posted anew: the earlier message cannot be edited ({error.code})"
            return await self._post(notice, again=again, note=note)
        ref = dict(previous.ref)
        if slack_blocks.wants_reply(notice):
            ref["reply"] = await self._reply(notice, where, root, again=again)
        return Receipt(channel=notice.channel, ref=ref)

    async def close(self) -> None:
        """Closes the connections. Calling it twice does no harm."""
        if self._client.session is not None:
            await self._client.session.close()

    async def _post(self, notice: Notice, *, again: bool, note: str = "") -> Receipt:
        where = self._settings.channel
        ts = await self._find("conversations.history", notice, {"channel": where}) if again else None
        if ts is None:
            ts = await self._write("chat.postMessage", notice, slack_blocks.message(notice), channel=where)
        return Receipt(channel=notice.channel, ref={"channel": where, "ts": ts}, note=note)

    async def _edit(self, notice: Notice, where: str, root: str) -> None:
        await self._write("chat.update", notice, slack_blocks.message(notice), channel=where, ts=root)

    async def _reply(self, notice: Notice, where: str, root: str, *, again: bool) -> str:
        thread = {"channel": where, "ts": root}
        found = await self._find("conversations.replies", notice, thread) if again else None
        return found or await self._write(
            "chat.postMessage", notice, slack_blocks.reply(notice), channel=where, thread_ts=root
        )

    async def _write(self, method: str, notice: Notice, message: slack_blocks.Message, **target: str) -> str:
        answer = await self._call(
            method,
            json={
                **target,
                "text": message.text,
                "blocks": message.blocks,
                "metadata": slack_blocks.metadata(notice),
                "link_names": bool(notice.mention),  # makes a plain "@oncall" call the user group
                "unfurl_links": False,  # nobody's text makes Slack fetch an address
                "unfurl_media": False,
            },
        )
        if "ts" not in answer:
            raise refusal(method, 200, {}, None)
        return str(answer["ts"])

    async def _find(self, method: str, notice: Notice, target: Mapping[str, str]) -> str | None:
        """The ts of what an earlier attempt of this notice has left, if we may look and it is there."""
        query: dict[str, Any] = {
            **target,
            "oldest": f"{(notice.at - _LOOK_BACK).timestamp():.6f}",
            "include_all_metadata": True,
            "limit": _PAGE,
        }
        for _ in range(_MOST_PAGES):
            try:
                answer = await self._call(method, params=query)
            except NotifyError as error:
                if error.permanent:  # the app may post but not read: better told twice than not at all
                    return None
                raise
            for message in answer.get("messages") or ():
                # The first of a thread is the incident's message, which every edit marks as well.
                if _notification(message) == notice.id and message.get("ts") != target.get("ts"):
                    return str(message["ts"])
            query["cursor"] = (answer.get("response_metadata") or {}).get("next_cursor")
            if not query["cursor"]:
                break
        return None

    async def _call(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        from slack_sdk.errors import SlackApiError

        if self._client.session is None:  # made here because it belongs to the running loop
            timeout = aiohttp.ClientTimeout(total=self._settings.timeout)
            self._client.session = aiohttp.ClientSession(timeout=timeout)
        verb = "POST" if "json" in arguments else "GET"
        try:
            answer = await self._client.api_call(method, http_verb=verb, **arguments)
        except SlackApiError as error:
            response = error.response  # the SDK's own, or aiohttp's where the body was no JSON
            status = getattr(response, "status_code", None) or response.status
            raise refusal(method, status, response.headers, getattr(response, "data", None)) from None
        except TimeoutError:
            told = f"Slack did not answer {method} within {self._settings.timeout:g} s"
            raise NotifyError(told, permanent=False, reason=Reason.DEADLINE, uncertain=True) from None
        except (aiohttp.ClientError, OSError) as error:
            # The error's own text may hold headers; its kind says enough.
            told = f"no connection to Slack for {method} ({type(error).__name__})"
            unsent = isinstance(error, aiohttp.ClientConnectorError)
            raise NotifyError(told, permanent=False, reason=Reason.NETWORK, uncertain=not unsent) from None
        except (AttributeError, ValueError):  # the SDK trips over bodies that are not JSON objects
            raise refusal(method, 200, {}, None) from None
        return cast(Mapping[str, Any], answer.data)  # bytes only come from methods for files


def _notification(message: Mapping[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != slack_blocks.EVENT_TYPE:
        return None
    found: str | None = (metadata.get("event_payload") or {}).get("notification")
    return found


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this address; the SDK itself would overlook NO_PROXY."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
