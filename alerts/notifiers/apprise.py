"""To whatever Apprise knows (e-mail, Teams, Telegram, ntfy and a hundred more); needs `plumbline[apprise]`."""

import asyncio
import logging
import re
from textwrap import dedent
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from alerts.engine import TransitionKind
from alerts.hostile import cut
from alerts.notification import Notice
from alerts.notifier import NotifyError, Reason, Receipt
from alerts.notifiers.fields import Timeout
from alerts.signal import Severity
from alerts.text import news, render_text

if TYPE_CHECKING:
    from apprise import Apprise

_TITLE = 200
_REMEMBERED = 100
_TYPES = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}
_MISSING = "needs Apprise, which is not installed: pip install 'plumbline[apprise]'"


class AppriseSettings(BaseModel):
    """The keys of a channel of kind `apprise`.

    Attributes:
        urls: Apprise's addresses (`mailto://...`, `tgram://...`); secrets, because they hold passwords.
        updates: Also send what only updates an incident ("13 points, was 12").
        timeout: Seconds for all urls together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    urls: Annotated[tuple[SecretStr, ...], Field(min_length=1)]
    updates: bool = False
    timeout: Timeout = 40.0

    @field_validator("urls")
    @classmethod
    def _are_understood(cls, urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for number, url in enumerate(urls, 1):
            if _service(url) is None:
                raise ValueError(
                    f"number {number} is no address that Apprise understands; see its list of services"
                )
        return urls


class AppriseNotifier:
    """Hands title and text to each address, one after the other, on a thread: Apprise itself blocks.

    It remembers which addresses took a notice, so that trying it again reaches only the others.
    """

    api: ClassVar[int] = 1
    Settings: ClassVar[type[BaseModel]] = AppriseSettings

    def __init__(self, settings: AppriseSettings) -> None:
        self._settings = settings
        self._services = [service for url in settings.urls if (service := _service(url)) is not None]
        self._told: dict[str, set[int]] = {}

    async def send(self, notice: Notice, previous: Receipt | None, *, again: bool) -> Receipt:
        """Tells every address that was not told of this notice yet.

        Raises:
            NotifyError: Some address did not take it. Always temporary: Apprise does not say why.
        """
        if notice.kind is TransitionKind.UPDATED and previous is not None and not self._settings.updates:
            return Receipt(channel=notice.channel)
        told = self._told.setdefault(notice.id, set())
        while len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]
        try:
            async with asyncio.timeout(self._settings.timeout):
                for number, service in enumerate(self._services, 1):
                    if number not in told and await asyncio.to_thread(_notify, service, notice):
                        told.add(number)
        except TimeoutError:
            late = f"Apprise did not end within {self._settings.timeout:g} s"
            raise NotifyError(late, permanent=False, reason=Reason.DEADLINE, uncertain=True) from None
        if missing := [number for number in range(1, len(self._services) + 1) if number not in told]:
            raise NotifyError(self._failure(missing), permanent=False, reason=Reason.SERVER, uncertain=True)
        self._told.pop(notice.id, None)
        return Receipt(channel=notice.channel)

    async def close(self) -> None:
        """Holds nothing."""

    def _failure(self, missing: list[int]) -> str:
        """Which addresses failed, by number and kind of service; their text would show passwords."""
        each = ", ".join(f"number {number} ({_name(self._services[number - 1])})" for number in missing)
        return (
            f"Apprise could not send to {len(missing)} of {len(self._services)} urls: {each}; "
            "check them with Apprise's own command: apprise -v -b test URL"
        )


def _service(url: SecretStr) -> "Apprise | None":
    """One address made ready to send to; None where Apprise does not understand it."""
    try:
        from apprise import Apprise  # an extra, and 0.2 s: only where it is used
    except ImportError:
        raise ValueError(_MISSING) from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it writes addresses and messages
    service = Apprise.instantiate(url.get_secret_value())
    if service is None:
        return None
    one = Apprise()
    one.add(service)
    return one


def _name(service: "Apprise") -> str:
    return str(service[0].service_name)


def _notify(service: "Apprise", notice: Notice) -> bool:
    incident = notice.incident
    return bool(
        service.notify(
            title=_harmless(_title(notice)),
            body=_body(notice),
            notify_type=_TYPES[incident.severity] if incident.is_open else "success",
            body_format="text",
        )
    )


def _title(notice: Notice) -> str:
    word = notice.incident.severity.value if notice.incident.is_open else "resolved"
    return cut(f"{word.upper()} {news(notice)}", _TITLE)


def _body(notice: Notice) -> str:
    """What the title does not say, below the mention: that comes from the config and must work."""
    text = _harmless(dedent(render_text(notice).partition("\n")[2]))
    return f"{notice.mention}\n{text}" if notice.mention else text


def _harmless(text: str) -> str:
    """The text with an invisible break where chat services would read a mention: it calls nobody."""
    return re.sub(r"(?<![\w.+-])@(?=\w)|<(?=[@!#])", "\\g<0>\u2060", text)
