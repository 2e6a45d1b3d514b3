"""Row 4: from the start of `plumbline run` to ready, and how much memory it holds when idle."""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.daemon import running, write_site
from bench.processes import ROOT, started
from bench.row import Row, Target, Unit, middle
from tests.site import cases

STARTS = 5
IDLE_SECONDS = 5.0
_MIB = 1024 * 1024

_TIME = Target(sense="<=", must=1.5, aim=1.0, of="measured")
_MEMORY = Target(sense="<=", must=150, aim=110, of="measured")

_EVERYTHING = [
    *("aiohttp", "aiohttp.web", "alembic.command", "aiosqlite", "apscheduler.schedulers.asyncio", "asyncpg"),
    *("jinja2", "jsonschema", "opentelemetry.sdk.trace", "orjson", "prometheus_client", "pydantic", "yaml"),
    *("regex", "rich.console", "river.drift", "scipy.stats", "slack_sdk.web.async_client"),
    *("sqlalchemy.ext.asyncio", "sqlmodel", "typer"),
]


def _config(url: str) -> dict[str, Any]:
    return {
        "endpoints": {"bot": {"kind": "openai", "url": f"{url}/v1", "model": "m-1", "timeout": "5s"}},
        "eval_sets": {"basics": {"cases": "cases.jsonl", "scorers": ["exact"]}},
        "probes": {"quality": {"endpoint": "bot", "eval_sets": ["basics"], "every": "15m"}},
        # Nothing is told here; a channel that is never used costs its imports all the same.
        "alerts": {
            "channels": {
                "oncall": {
                    "kind": "slack",
                    "token": "xoxb-bench",
                    "channel": "C0123456",
                    "api_url": "http://127.0.0.1:9/api/",
                }
            }
        },
        "baseline": {"auto_accept": True},
    }


def _mib(statm: str) -> float:
    """Resident MiB from a line of /proc/PID/statm (Linux)."""
    return int(statm.split()[1]) * resource.getpagesize() / _MIB


def _idle(folder: Path, port: int) -> float:
    """MiB of a daemon that has idled for a while."""
    with running(folder, port) as daemon:
        time.sleep(IDLE_SECONDS)
        return _mib(Path(f"/proc/{daemon.process.pid}/statm").read_text())


def _start(folder: Path, port: int) -> float:
    with running(folder, port) as daemon:
        return daemon.took


def _first_start(url: str) -> float:
    """Seconds to ready where there is no store yet."""
    with tempfile.TemporaryDirectory() as name:
        return _start(Path(name), write_site(Path(name), _config(url), cases(20)))


def _imported(modules: Sequence[str]) -> tuple[float, float]:
    """Seconds and MiB of a process that only imports."""
    code = f"import {', '.join(modules)}\nprint(open('/proc/self/statm').read())"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return time.monotonic() - began, _mib(done.stdout)


def _beside(what: str, unit: Unit, samples: list[float], bare: list[float], target: Target | None) -> Row:
    measured, baseline = middle(samples), middle(bare)
    return Row(
        bench="start-up",
        what=what,
        unit=unit,
        measured=measured,
        baseline=baseline,
        baseline_what='python -c "import aiohttp"',
        ratio=measured / baseline,
        target=target,
        samples=samples,
    )


def run(seed: int) -> Iterator[Row]:
    """Measures; gives each row as it is known."""
    bare: list[tuple[float, float]] = []
    firsts: list[float] = []
    again: list[float] = []
    with started("bench.server") as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = write_site(folder, _config(url), cases(20))
        idle_first = _idle(folder, port)  # makes the store and captures the baseline
        idle = _idle(folder, port)
        for _ in range(STARTS):
            bare.append(_imported(["aiohttp"]))
            firsts.append(_first_start(url))
            again.append(_start(folder, port))
        everything = [_imported(_EVERYTHING) for _ in range(3)]
    seconds, held = [took for took, _ in bare], [each for _, each in bare]
    what = f"resident, idle for {IDLE_SECONDS:.0f} s after"
    yield _beside("`run` to ready, the store exists", "s", again, seconds, _TIME)
    yield _beside("`run` to ready, first start (the store is made)", "s", firsts, seconds, _TIME)
    yield _beside(f"{what} ready", "MiB", [idle], held, _MEMORY)
    yield _beside(f"{what} a first start", "MiB", [idle_first], held, _MEMORY)
    yield _beside("every dependency imported: time", "s", [took for took, _ in everything], seconds, None)
    yield _beside("every dependency imported: resident", "MiB", [each for _, each in everything], held, None)
