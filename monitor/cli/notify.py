"""`plumbline notify test`: one marked notice through the real notifier; nothing is stored."""

import asyncio
import logging
import random
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from alerts import Incident, IncidentState, Member, Notice, NotifyError, Receipt, Severity, TransitionKind
from alerts.hostile import one_line
from monitor.cli.ending import Code, Refused
from monitor.cli.opening import now, read_config
from monitor.cli.options import Output
from monitor.cli.show import as_json, say
from monitor.config.model import Config
from monitor.config.problem import choose
from monitor.ids import new_id
from monitor.plugins import Plugins

_SEND_SECONDS = 60.0  # as long as the daemon waits for a notifier
_SUMMARY = "This is a test of notifications. Nothing is wrong."


@dataclass(frozen=True, kw_only=True, slots=True)
class _Told:
    """How telling one channel went: by a receipt, or by what went wrong."""

    channel: str
    kind: str
    receipt: Receipt | None = None
    wrong: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        ref = dict(self.receipt.ref) if self.receipt else None
        ok = self.receipt is not None
        return {
            "channel": self.channel,
            "kind": self.kind,
            "ok": ok,
            "receipt": ref,
            "error": self.wrong or None,
        }


def tell_channels(path: Path, channel: str | None, output: Output) -> Code:
    """Tells one channel, or all, that this is a test; a finding is a channel that was not told."""
    config = read_config(path).config
    channels = config.alerts.channels
    if channel is not None and channel not in channels:
        raise Refused(f"no channel is called '{channel}'; {choose(channel, channels)}", Code.USAGE)
    # A command's log is quiet, but to a channel of kind `log` it is the message.
    logging.getLogger("plumbline.alert").setLevel(logging.INFO)

    async def work() -> list[_Told]:
        wanted = channels if channel is None else [channel]
        return [await _tell(config, name) for name in wanted]

    results = asyncio.run(work())
    if output is Output.JSON:
        as_json([told.as_json() for told in results])
    else:
        for told in results:
            _say(told)
    return Code.OK if all(told.receipt for told in results) else Code.FINDING


async def _tell(config: Config, name: str) -> _Told:
    channel = config.alerts.channels[name]
    notifier = Plugins().notifier(channel.kind)(channel.settings)
    notice = sample(name, config.web.external_url, now(), random.SystemRandom())
    try:
        async with asyncio.timeout(_SEND_SECONDS):
            receipt = await notifier.send(notice, None, again=False)
    except NotifyError as error:
        hope = "" if error.permanent else " (the daemon would try again)"
        return _Told(channel=name, kind=channel.kind, wrong=f"{error.detail}{hope}")
    except TimeoutError:
        return _Told(channel=name, kind=channel.kind, wrong=f"no answer within {_SEND_SECONDS:.0f} s")
    except Exception as error:  # somebody else's code, whose words may hold a token
        what = f"the notifier has a bug ({type(error).__name__}); tell its author"
        return _Told(channel=name, kind=channel.kind, wrong=what)
    finally:
        await notifier.close()
    return _Told(channel=name, kind=channel.kind, receipt=receipt)


def sample(channel: str, external_url: str | None, at: datetime, rng: random.Random) -> Notice:
    """A notice that nobody can take for a real one.

    Args:
        channel: Whom it is for.
        external_url: The page it links to, if there is one.
        at: The time.
        rng: Makes its id, new each time, so that no receiver drops it as a repetition.
    """
    id = new_id("ntf", at, rng)
    member = Member(
        fingerprint=id[-16:],
        rule="notify-test",
        name="test",
        labels={"endpoint": "test", "test": "true"},
        severity=Severity.INFO,
        summary=_SUMMARY,
        since=at,
        facts={"sent by": "plumbline notify test", "channel": channel},
    )
    incident = Incident(
        id="inc_test",
        fingerprint=member.fingerprint,
        labels=member.labels,
        state=IncidentState.OPEN,
        severity=member.severity,
        peak=member.severity,
        members=(member,),
        opened_at=at,
        updated_at=at,
        seq=1,
    )
    return Notice(
        id=id,
        incident=incident,
        kind=TransitionKind.OPENED,
        channel=channel,
        mention=None,
        seq=1,
        at=at,
        summary=_SUMMARY,
        reason="asked for by hand",
        links={"status": external_url} if external_url else {},
    )


def _say(told: _Told) -> None:
    if told.receipt is None:
        say(f"{told.channel} ({told.kind}): NOT told: {one_line(told.wrong, 500)}")
        return
    ref = ", ".join(f"{key} {value}" for key, value in told.receipt.ref.items())
    note = f"; {told.receipt.note}" if told.receipt.note else ""
    say(one_line(f"{told.channel} ({told.kind}): told{f', {ref}' if ref else ''}{note}", 500))
