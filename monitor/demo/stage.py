"""Sets the demo up: what was asked for, a folder with a real config, and the simulator's process."""

import asyncio
import os
import random
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiohttp

from monitor.cli.ending import Code, Refused
from monitor.demo.mind import MODEL, Fault

PAGE_PORT = 8484
SIMULATOR_PORT = 8485
PROBE = "demo-quality"

_CONFIG = """\
# Written by `plumbline demo`; a config like any other, with the product's own engine and thresholds.
store: sqlite:///{folder}/plumbline.db
web: {{listen: "127.0.0.1:{page}"}}
endpoints:
  {endpoint}:
    kind: openai
    url: {url}
    model: {model}
    api_key: ${{PLUMBLINE_DEMO_API_KEY:-}}
    params: {{max_tokens: 64}}
    timeout: {timeout}
    limits: {{concurrency: {concurrency}}}
{price}eval_sets:
  demo: {{cases: cases.jsonl}}
probes:
  {probe}: {{endpoint: {endpoint}, eval_sets: [demo], every: {every}, cases_per_round: 20}}
baseline: {{auto_accept: true}}        # a person would look at it first
alerts:
  channels: {{terminal: {{kind: log}}}}
"""
_SIMULATED = {
    "endpoint": "simulator",
    "model": MODEL,
    "timeout": "10s",
    "concurrency": "10",
    "every": "1s",
    "price": "    price: {input_per_mtok: 0.15, output_per_mtok: 0.60}\n",
}
#: Somebody pays for these calls, so they come at a calmer pace.
_GIVEN = {
    "endpoint": "your-endpoint",
    "url": "${PLUMBLINE_DEMO_URL}",
    "model": "${PLUMBLINE_DEMO_MODEL}",
    "timeout": "60s",
    "concurrency": "4",
    "every": "15s",
    "price": "",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the environment asks of the demo.

    Attributes:
        seed: From SEED; drawn where it is not set.
        fault: From DEMO_FAULT: a fault, "none", or "auto".
        after: From DEMO_FAULT_AFTER: requests until the fault; None leaves that to the seed.
        rounds: From DEMO_ROUNDS: how long a demo without a fault watches.
        leave: From DEMO_EXIT: end when the story is told.
        given: PLUMBLINE_DEMO_URL is set: watch that endpoint in place of the simulator.
    """

    seed: int
    fault: str
    after: int | None
    rounds: int
    leave: bool
    given: bool


def wish_of(environ: Mapping[str, str]) -> Wish:
    """Reads the environment.

    Raises:
        Refused: A variable cannot be understood.
    """
    kinds = ["auto", "none", *Fault]
    fault = environ.get("DEMO_FAULT") or "auto"
    if fault not in kinds:
        raise Refused(f"DEMO_FAULT is {fault!r}; known are: {', '.join(kinds)}", Code.USAGE)
    given = bool(environ.get("PLUMBLINE_DEMO_URL"))
    if given and not environ.get("PLUMBLINE_DEMO_MODEL"):
        raise Refused("PLUMBLINE_DEMO_URL is set; set PLUMBLINE_DEMO_MODEL too", Code.USAGE)
    seed = _number(environ, "SEED")
    return Wish(
        seed=random.SystemRandom().randrange(10_000) if seed is None else seed,
        fault=fault,
        after=_number(environ, "DEMO_FAULT_AFTER"),
        rounds=_number(environ, "DEMO_ROUNDS") or 300,
        leave=environ.get("DEMO_EXIT", "") not in ("", "0"),
        given=given,
    )


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    if text and not text.isdecimal():
        raise Refused(f"{name} is {text!r}; write a whole number", Code.USAGE)
    return int(text) if text else None


def free_port(wanted: int) -> int:
    """The wanted port of 127.0.0.1 if it is free, else another one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise Refused("no port of 127.0.0.1 is free", Code.UNREACHABLE)


def write_config(folder: Path, *, page: int, simulator: str | None) -> Path:
    """Writes the cases and a config that watches the simulator at this address, or the endpoint that was given."""
    cases = files("monitor.demo").joinpath("cases.jsonl").read_bytes()
    (folder / "cases.jsonl").write_bytes(cases)
    parts = _GIVEN if simulator is None else {**_SIMULATED, "url": f"{simulator}/v1"}
    path = folder / "plumbline.yaml"
    path.write_text(_CONFIG.format(folder=folder, page=page, probe=PROBE, **parts), encoding="utf-8")
    return path


class Remote:
    """The simulator as the demo's director sees it: over HTTP, like everybody else."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def start(self) -> None:
        """From now on its fault may come."""
        async with self._session.post(f"{self.url}/simulator/start") as response:
            response.raise_for_status()

    async def heal(self) -> None:
        """Ends the fault."""
        async with self._session.post(f"{self.url}/simulator/heal") as response:
            response.raise_for_status()

    async def truth(self) -> dict[str, Any]:
        """Which fault it had, and when it began."""
        async with self._session.get(f"{self.url}/simulator/truth") as response:
            response.raise_for_status()
            told: dict[str, Any] = await response.json()
            return told


@asynccontextmanager
async def simulator(wish: Wish) -> AsyncIterator[Remote]:
    """Runs the simulator as a process of its own while the block runs."""
    arguments = ["--port", str(free_port(SIMULATOR_PORT)), "--seed", str(wish.seed), "--fault", wish.fault]
    if wish.after is not None:
        arguments += ["--after", str(wish.after)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "monitor.demo.simulator", "--with-stdin", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the daemon; the simulator ends with us
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        url = await _listening(process)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            yield Remote(url, session)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _listening(process: asyncio.subprocess.Process) -> str:
    stdout = process.stdout
    while stdout is not None and (line := (await stdout.readline()).decode()):
        if line.startswith("listening on "):
            return line.removeprefix("listening on ").strip()
    raise Refused("the simulator did not start; its own message stands above", Code.UNREACHABLE)
