"""Checks that every notifier passes; they ship with the product, so that plugin authors run the same ones."""

import json
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ValidationError

from alerts.engine import TransitionKind
from alerts.incident import Incident, IncidentState, Member
from alerts.notification import Notice
from alerts.notifier import Notifier, NotifyError, Receipt
from alerts.signal import Severity

_UNKNOWN = "a-key-that-no-notifier-has"
_START = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
_HOSTILE = "score down <!channel> @here \x1b[2J\u202e & <https://example.org|click> " + "x" * 5000


class ContractBroken(AssertionError):
    """A notifier does not keep what the Notifier protocol promises; the message says which promise."""


async def check_notifier(
    notifier: type[Notifier],
    settings: Mapping[str, Any],
    *,
    failing: Mapping[str, Any] | None = None,
    secrets: Sequence[str] = (),
) -> None:
    """Runs a notifier through the life of one incident and checks what it promises.

    Args:
        notifier: The class, as it is registered.
        settings: Keys of a channel that works (against a fake server, say).
        failing: Keys of a channel that cannot work, for example with a wrong token.
        secrets: Strings in either settings that must never be shown.

    Raises:
        ContractBroken: At the first promise that is not kept.
    """
    _must(notifier.api == 1, f"api is 1, not {notifier.api!r}")
    _must(issubclass(notifier.Settings, BaseModel), "Settings is a pydantic model")
    _check_settings(notifier, settings, secrets)
    await _check_life(notifier, settings)
    if failing is not None:
        await _check_failure(notifier, failing, secrets)


def sample_notices(channel: str = "contract") -> list[Notice]:
    """The notices of one incident from opened to resolved, with hostile text in them."""
    kinds = (
        TransitionKind.OPENED,
        TransitionKind.UPDATED,
        TransitionKind.WORSENED,
        TransitionKind.RESOLVED,
    )
    return [_notice(kind, number, channel) for number, kind in enumerate(kinds, 1)]


def _check_settings(notifier: type[Notifier], settings: Mapping[str, Any], secrets: Sequence[str]) -> None:
    shown = repr(notifier.Settings.model_validate(settings))
    _must(not _holds(shown, secrets), "the repr of its settings shows no secret")
    try:
        notifier.Settings.model_validate({**settings, _UNKNOWN: 1})
    except ValidationError:
        return
    raise ContractBroken("unknown settings are refused (extra='forbid')")


async def _check_life(notifier: type[Notifier], settings: Mapping[str, Any]) -> None:
    made = notifier(notifier.Settings.model_validate(settings))
    try:
        previous: Receipt | None = None
        for notice in sample_notices():
            for again in (False, True):
                before = json.dumps(notice.as_json())
                receipt = await made.send(notice, previous, again=again)
                _must(json.dumps(notice.as_json()) == before, "a notice is left as it was")
                _check_receipt(receipt, notice)
            previous = receipt
    finally:
        await made.close()
        await made.close()


def _check_receipt(receipt: Receipt, notice: Notice) -> None:
    _must(receipt.channel == notice.channel, "a receipt names the channel of its notice")
    stored = json.loads(json.dumps(receipt.as_json()))
    _must(Receipt.from_json(stored) == receipt, "a receipt survives being stored as JSON")


async def _check_failure(
    notifier: type[Notifier], settings: Mapping[str, Any], secrets: Sequence[str]
) -> None:
    made = notifier(notifier.Settings.model_validate(settings))
    try:
        await made.send(sample_notices()[0], None, again=False)
    except NotifyError as error:
        shown = "".join(traceback.format_exception(error)) + repr(error.args)
        _must(not _holds(shown, secrets), "an error shows no secret")
    else:
        raise ContractBroken("a channel that cannot work raises NotifyError")
    finally:
        await made.close()


def _notice(kind: TransitionKind, seq: int, channel: str) -> Notice:
    ended = kind is TransitionKind.RESOLVED
    at = _START + timedelta(minutes=seq)
    member = Member(
        fingerprint="f" * 16,
        rule="contract",
        name="score_changed",
        labels={"endpoint": "contract-endpoint", "source": "contract-probe", "measure": "score"},
        severity=Severity.WARNING,
        summary=_HOSTILE,
        since=_START,
        facts={"worst_cases": [_HOSTILE, "b"], "n": 80, "provisional": True},
        firing=not ended,
    )
    incident = Incident(
        id="inc_contract",
        fingerprint="e" * 16,
        labels=member.labels,
        state=IncidentState.RESOLVED if ended else IncidentState.OPEN,
        severity=member.severity,
        peak=member.severity,
        members=(member,),
        opened_at=_START,
        updated_at=at,
        resolved_at=at if ended else None,
        seq=seq,
        resolution="recovered" if ended else "",
    )
    return Notice(
        id=f"ntf_contract_{seq}",
        incident=incident,
        kind=kind,
        channel=channel,
        mention=None,
        seq=seq,
        at=at,
        summary=member.summary,
        reason="contract check",
        links={"Status page": "https://example.org/"},
        provisional=not ended,
    )


def _holds(text: str, secrets: Sequence[str]) -> bool:
    return any(secret in text for secret in secrets)


def _must(kept: bool, promise: str) -> None:
    if not kept:
        raise ContractBroken(f"not kept: {promise}")
