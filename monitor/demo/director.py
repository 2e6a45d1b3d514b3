"""Directs the demo: baseline, fault, alert, cure, recovery, truth. It acts on the simulator, never on the daemon."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from alerts import TransitionKind
from monitor.assess import Closed
from monitor.cli.ending import Code
from monitor.demo.screen import Screen, found_in
from monitor.demo.stage import Remote, Wish
from monitor.signals import clock_time
from monitor.watch import Watch

#: Rounds between the alert and the cure, so that other streams can join the incident.
_ROUNDS_TO_JOIN = 3
#: A fault that was not told of, or not over, after this long counts as missed.
_PATIENCE_SECONDS = 180.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that the daemon did: a line of its log, an alert, or a closed round."""

    line: str = ""
    alert: str = ""
    watch: Watch | None = None
    closed: Closed | None = None


class Director:
    """Shows what the daemon does, and knows how far the story is."""

    def __init__(self, screen: Screen, events: "asyncio.Queue[Event]") -> None:
        self._screen = screen
        self._events = events
        self._rounds: list[Closed] = []
        self._opened: Closed | None = None
        self._told_at: float | None = None
        self._owed = 0
        self._alerts = 0
        self._resolved = False

    async def watch(self, *, rounds: bool = True) -> None:
        """Shows what happens, for ever."""
        while True:
            event = await self._events.get()
            if event.alert or rounds:
                self._take(event)

    async def play(self, wish: Wish, remote: Remote) -> Code:
        """Tells the story; a finding is one that did not end as it should."""
        self._screen.heading("First it learns what is normal: the baseline")
        await self._until(lambda: bool(self._rounds))
        await remote.start()
        if wish.fault == "none":
            return await self._play_silence(wish.rounds)
        self._screen.heading(
            "Now it watches. Before long the simulator gets worse; its seed knows how and when"
        )
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._until(lambda: self._opened is not None and self._alerts > 0)
                last = len(self._rounds) + _ROUNDS_TO_JOIN
                await self._until(lambda: len(self._rounds) >= last)
                await remote.heal()
                self._screen.heading("On-call repairs it: the simulator is healed")
                await self._until(lambda: self._resolved and self._alerts >= self._owed)
        except TimeoutError:
            self._screen.say(f"The story did not end within {_PATIENCE_SECONDS:.0f} s.", "bold red")
        return self._reveal(await remote.truth())

    async def _play_silence(self, rounds: int) -> Code:
        self._screen.heading(
            f"Now it watches for {rounds} rounds. Nothing will go wrong, so nothing should be said"
        )
        await self._until(lambda: len(self._rounds) >= rounds or self._opened is not None)
        replies = sum(sum(closed.outcomes.values()) for closed in self._rounds)
        if self._opened is not None:
            self._screen.say("A false alarm: nothing was wrong with the simulator.", "bold red")
            return Code.FINDING
        self._screen.say()
        self._screen.say(f"{len(self._rounds)} rounds, {replies:,} replies, no alert.", "bold green")
        return Code.OK

    async def _until(self, enough: Callable[[], bool]) -> None:
        while not enough():
            self._take(await self._events.get())

    def _take(self, event: Event) -> None:
        if event.alert:
            self._alerts += 1
            self._told_at = self._told_at or time.time()
            self._screen.alert(event.alert)
        elif event.line:
            self._screen.round(event.line)
        if event.watch is not None and event.closed is not None:
            self._note(event.watch, event.closed)

    def _note(self, watch: Watch, closed: Closed) -> None:
        if closed.claim.kind == "scheduled":
            self._rounds.append(closed)
        for judged in found_in(closed):
            self._screen.detection(watch, judged)
        kinds = [step.kind for step in closed.changes.transitions]
        self._owed += sum(kind is not TransitionKind.UPDATED for kind in kinds)
        if TransitionKind.OPENED in kinds:
            self._opened, self._resolved = self._opened or closed, False
        if TransitionKind.RESOLVED in kinds:
            self._resolved = True

    def _reveal(self, truth: dict[str, Any]) -> Code:
        screen, began = self._screen, truth["began"]
        screen.heading(f"The truth, as the simulator tells it (seed {truth['seed']})")
        if began is None:
            screen.say("nothing had gone wrong yet")
            if self._opened is not None:
                screen.say("so the alert was a false alarm", "bold red")
            return Code.FINDING
        start = datetime.fromtimestamp(began, UTC)
        screen.say(f"fault   {truth['fault']}: {truth['meaning']}")
        screen.say(f"began   {clock_time(start)}, after {truth['after_requests']} requests")
        if self._opened is None or self._told_at is None:
            screen.say("told    never: the fault was missed", "bold red")
            return Code.FINDING
        if self._told_at < began:
            screen.say("told    before the fault began: a false alarm", "bold red")
            return Code.FINDING
        late = f"{self._told_at - began:.1f} s after the fault began, {self._met(start, self._opened)}"
        screen.say(f"told    {clock_time(datetime.fromtimestamp(self._told_at, UTC))}, {late}", "bold green")
        screen.say(
            f"ended   {'resolved by itself after the repair' if self._resolved else 'not resolved yet'}"
        )
        return Code.OK if self._resolved else Code.FINDING

    def _met(self, start: datetime, opened: Closed) -> str:
        """How many rounds met the fault until it was told; it may begin in the middle of one."""
        slots = [closed.claim.slot for closed in self._rounds]
        first = max((slot for slot in slots if slot <= start), default=start)
        met = sum(first <= slot <= opened.claim.slot for slot in slots)
        return f"by the {met} rounds that met it" if met > 1 else "by the first round that met it"
