"""To any program: one signed request for each notice, shaped as Alertmanager's webhooks are."""

import hashlib
import hmac
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import ClassVar
from urllib.parse import urlsplit

import aiohttp
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from alerts.engine import TransitionKind
from alerts.notification import Notice
from alerts.notifier import NotifyError, Reason, Receipt
from alerts.notifiers.fields import Timeout
from alerts.notifiers.webhook_payload import body

_SHORTEST_SECRET = 16
_AGAIN_LATER = {408: Reason.SERVER, 425: Reason.SERVER, 429: Reason.RATE_LIMITED}
_CURES = {
    401: (Reason.AUTH, "check the secret on both sides"),
    403: (Reason.AUTH, "check the secret on both sides, and who may send there"),
    404: (Reason.NOT_FOUND, "check the channel's url"),
    410: (Reason.NOT_FOUND, "check the channel's url"),
    413: (Reason.CLIENT, "let the receiver take bodies of 512 KB"),
}


class WebhookSettings(BaseModel):
    """The keys of a channel of kind `webhook`.

    Attributes:
        url: Where to post; a secret, because many receivers put a key in it.
        secret: Signs every request; at least 16 characters.
        updates: Also send what only updates an incident ("13 points, was 12").
        timeout: Seconds for one request.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: SecretStr
    secret: SecretStr
    updates: bool = False
    timeout: Timeout = 10.0

    @field_validator("url")
    @classmethod
    def _is_web_address(cls, value: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(value.get_secret_value())
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("is no web address; write it like https://hooks.example.org/plumbline")
        return value

    @field_validator("secret")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value().strip()) < _SHORTEST_SECRET:
            raise ValueError(
                f"has fewer than {_SHORTEST_SECRET} characters; make one with openssl rand -hex 32"
            )
        return value


class WebhookNotifier:
    """Posts each notice once; follows no redirects, and does not retry by itself."""

    api: ClassVar[int] = 1
    Settings: ClassVar[type[BaseModel]] = WebhookSettings

    def __init__(self, settings: WebhookSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def send(self, notice: Notice, previous: Receipt | None, *, again: bool) -> Receipt:
        """Posts the notice; its id goes along as `Idempotency-Key`, the same on every attempt.

        Raises:
            NotifyError: The receiver was not reached, or did not take it.
        """
        if notice.kind is TransitionKind.UPDATED and previous is not None and not self._settings.updates:
            return Receipt(channel=notice.channel, ref=dict(previous.ref))
        await self._post(body(notice), notice.id)
        return Receipt(channel=notice.channel, ref={"notification": notice.id})

    async def close(self) -> None:
        """Closes the connections. Calling it twice does no harm."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, raw: bytes, id: str) -> None:
        if self._session is None:  # made here because it belongs to the running loop
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,  # the proxy that the environment names
            )
        sent = int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "plumbline",
            "Idempotency-Key": id,
            "X-Plumbline-Timestamp": str(sent),
            "X-Plumbline-Signature": signature(self._settings.secret.get_secret_value(), sent, raw),
        }
        url = self._settings.url.get_secret_value()
        try:
            async with self._session.post(url, data=raw, headers=headers, allow_redirects=False) as answer:
                status, said = answer.status, answer.headers
        except TimeoutError:
            told = f"the receiver did not answer within {self._settings.timeout:g} s"
            raise NotifyError(told, permanent=False, reason=Reason.DEADLINE, uncertain=True) from None
        except (aiohttp.ClientError, OSError) as error:
            # The error's own text may hold the address; its kind says enough.
            told = f"no connection to the receiver ({type(error).__name__})"
            unsent = isinstance(error, aiohttp.ClientConnectorError)
            raise NotifyError(told, permanent=False, reason=Reason.NETWORK, uncertain=not unsent) from None
        if not 200 <= status < 300:
            raise refusal(status, said, self._clock())


def signature(secret: str, timestamp: int, raw: bytes) -> str:
    """`v1=` and the hex HMAC-SHA256 of timestamp, a dot and the body as it is sent.

    Args:
        secret: What both sides know.
        timestamp: Seconds since 1970; it is signed too, so that nobody can send an old request again later.
        raw: The body, byte by byte.
    """
    signed = f"{timestamp}.".encode() + raw
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def refusal(status: int, headers: Mapping[str, str], now: float) -> NotifyError:
    """The error that an answer other than 2xx stands for. Nothing of its body is repeated.

    Args:
        status: HTTP status.
        headers: HTTP headers.
        now: Seconds since 1970, for a Retry-After that is a date.
    """
    code = f"http_{status}"
    if status in _AGAIN_LATER or status >= 500:
        return NotifyError(
            f"the receiver answered HTTP {status}",
            permanent=False,
            reason=_AGAIN_LATER.get(status, Reason.SERVER),
            retry_after=_asked(headers.get("Retry-After"), now),
            code=code,
            uncertain=status >= 500 or status == 408,
        )
    if 300 <= status < 400:
        reason, cure = Reason.CLIENT, "it redirects, which is not followed: give the final url"
    else:
        reason, cure = _CURES.get(status, (Reason.CLIENT, "see the receiver's log"))
    told = f"the receiver refused with HTTP {status}; {cure}"
    return NotifyError(told, permanent=True, reason=reason, code=code)


def _asked(header: str | None, now: float) -> float | None:
    """The seconds of a Retry-After, which may be a number or a date."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            at = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now
    return max(0.0, seconds) if math.isfinite(seconds) else None
