"""Daemons as processes: started through the launcher, signalled by pid, heard by their log and their port."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 45.0


async def until(
    look: Callable[[], Any], what: str, *, pause: float = 0.05, patience: float = _PATIENCE
) -> Any:
    """Looks until there is something true, and gives it; the limit only ends a test that has failed."""
    limit = time.monotonic() + patience
    while True:
        seen = look()
        found = await seen if isinstance(seen, Awaitable) else seen
        if found:
            return found
        if time.monotonic() > limit:
            raise AssertionError(f"never happened: {what}")
        await asyncio.sleep(pause)


class Life:
    """One start of the daemon, from its fork to its end."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log
        self.began = time.time()
        self.over = 0.0
        self.status: int | None = None

    @property
    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text() if self.log.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, unless it has ended: its pid may be another's then."""
        if self.status is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it as a power cut would; the moment is kept."""
        self.signal(signal.SIGKILL)
        self.over = time.time()

    def reload(self) -> None:
        """Asks it to take its config over again."""
        self.signal(signal.SIGHUP)

    async def ended(self) -> int:
        """Waits for its end; gives its exit code, or the signal as a negative number."""
        await until(lambda: self.status is not None, f"the end of {self.pid}:\n{self.said}", pause=0.005)
        assert self.status is not None
        return self.status

    async def page(self) -> str:
        """Waits until it listens; gives the address."""

        def look() -> re.Match[str] | None:
            assert self.status is None, f"it ended with {self.status}:\n{self.said}"
            return re.search(r"is ready on (http://\S+)", self.said)

        found: re.Match[str] = await until(look, "the port is open")
        return found[1]

    async def stop(self) -> None:
        """Lets it drain and end, and expects that it does so well."""
        self.signal(signal.SIGTERM)
        assert await self.ended() == 0, self.said
        self.over = time.time()


class Launcher:
    """The process that forks daemons; see tests/fakes/launcher.py."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.launcher"],
            cwd=_ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # no threads before a fork
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._lives: dict[int, Life] = {}
        self._waiting = b""
        try:
            assert self._read() == [{"ready": True}]
        except BaseException:
            self.close()
            raise

    def start(self, *arguments: str, log: Path) -> Life:
        """Forks a child that runs `plumbline` with these arguments."""
        self._in.write(json.dumps({"arguments": arguments, "log": str(log)}).encode() + b"\n")
        self._in.flush()
        born: Life | None = None
        while born is None:  # at once; an earlier child's end may be told before
            for line in self._read():
                if "status" in line:
                    self._bury(line)
                else:
                    born = self._lives[line["pid"]] = Life(line["pid"], log)
        return born

    def hear(self) -> None:
        """Takes note of what has ended; called when there is something to read."""
        for line in self._read():
            self._bury(line)

    def fileno(self) -> int:
        """What to watch for news."""
        return self._out.fileno()

    def close(self) -> None:
        """Ends it; it takes its children with it."""
        with contextlib.suppress(BrokenPipeError):
            self._in.close()
        self._process.wait(timeout=30)
        self._out.close()

    def _read(self) -> list[dict[str, Any]]:
        """Whole lines, at least one of them."""
        lines: list[bytes] = []
        while not lines:
            more = os.read(self.fileno(), 65536)
            if not more:
                raise AssertionError("the launcher is gone; its stderr says why")
            *lines, self._waiting = (self._waiting + more).split(b"\n")
        return [json.loads(line) for line in lines]

    def _bury(self, line: dict[str, Any]) -> None:
        life = self._lives.pop(line["pid"])
        life.status, life.over = line["status"], life.over or time.time()


class Host:
    """Starts daemons on one config; a test has one."""

    def __init__(self, launcher: Launcher, folder: Path) -> None:
        self._launcher = launcher
        self._folder = folder
        self.lives: list[Life] = []

    def start(self, config: Path) -> Life:
        """Starts `plumbline run` on a config file."""
        log = self._folder / f"daemon-{len(self.lives) + 1}.log"
        life = self._launcher.start("run", "-c", str(config), log=log)
        self.lives.append(life)
        return life
