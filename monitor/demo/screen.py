"""What the demo's terminal shows: calm lines, with colours where there is a terminal."""

import logging
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from monitor.assess import Closed
from monitor.drift.detector import VerdictKind
from monitor.logs import clean
from monitor.signals import clock_time, effect_text
from monitor.verdicts import Judged
from monitor.watch import Watch

_ALERT_STYLES = {"CRITICAL": "bold red", "WARNING": "bold yellow", "RESOLVED": "bold green"}


class Screen:
    """Writes the demo's lines."""

    def __init__(self) -> None:
        width = None if sys.stdout.isatty() else 160
        self._console = Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)

    def say(self, text: str = "", style: str = "") -> None:
        """A line of the narrator, or several."""
        for line in clean(text).split("\n"):
            self._console.print(Text(line, style=style), soft_wrap=True)
        self._console.file.flush()

    def heading(self, text: str) -> None:
        """The next part of the story."""
        self.say()
        self.say(f"== {text}", style="bold cyan")

    def round(self, line: str) -> None:
        """One round, as the daemon logs it."""
        now = datetime.now(UTC)
        self.say(f"  {now:%H:%M:%S}  {line}", style="bold yellow" if "CHANGED" in line else "dim")

    def detection(self, watch: Watch, judged: Judged) -> None:
        """What a detector found, with its grounds."""
        verdict = judged.verdict
        found = [f"DETECTED {judged.measure.name.replace('_', ' ')} {verdict.direction or 'changed'}"]
        found.append(f"evidence      {verdict.evidence:.1f} nats; {verdict.threshold:.1f} were needed")
        if amount := effect_text(verdict):
            found.append(f"effect        {amount}, 95 % interval")
        if verdict.since:
            found.append(f"began about   {clock_time(verdict.since)}")
        rounds = watch.run_lengths.get(judged.measure.name)
        if rounds is not None:
            days = rounds / watch.grid.per_day
            found.append(f"false alarms  this stream may raise one in {days:.0f} days ({rounds:,.0f} rounds)")
        self.say()
        self.say("\n".join(f"  {line}" for line in found), style="bold magenta")

    def alert(self, text: str) -> None:
        """What on-call reads."""
        style = _ALERT_STYLES.get(text.split(" ", 1)[0], "bold")
        self.say()
        self.say("  on-call reads:", style="dim")
        self.say(textwrap.indent(text, "  | ", lambda line: True), style=style)
        self.say()


def found_in(closed: Closed) -> list[Judged]:
    """The streams on which this round raised an alarm."""
    return [
        each
        for each in closed.judged
        if each.became_changed and each.measure.alarms and each.verdict.kind is VerdictKind.CHANGED
    ]


class Listener(logging.Handler):
    """Hands each log line of the daemon on, with the name of its logger."""

    def __init__(self, heard: Callable[[str, str], Any]) -> None:
        super().__init__(logging.INFO)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        """Hands one line on."""
        self._heard(record.name, self.format(record))
