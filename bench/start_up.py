"""Row 4: from the start of `plumbline run` to ready, and how much memory it holds when idle."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from bench.daemon import running, write_site
from bench.processes import ROOT, started
from bench.row import Row, Target, middle
from tests.site import cases

FIRST_STARTS = 3
STARTS = 5
IDLE_SECONDS = 5.0
_MIB = 1024 * 1024

_TIME = Target(sense="<=", must=1.5, aim=1.0, of="measured")
_MEMORY = Target(sense="<=", must=150, aim=110, of="measured")

_EVERYTHING = (
    "aiohttp aiohttp.web alembic.command aiosqlite apscheduler.schedulers.asyncio asyncpg jinja2 jsonschema "
    "opentelemetry.sdk.trace orjson prometheus_client pydantic yaml regex rich.console river.drift scipy.stats "
    "slack_sdk.web.async_client sqlalchemy.ext.asyncio sqlmodel typer"
).split()


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


def _start(folder: Path, port: int, idle: bool) -> tuple[float, float | None]:
    """Seconds to ready, and MiB after a while of idling."""
    with running(folder, port) as daemon:
        if not idle:
            return daemon.took, None
        time.sleep(IDLE_SECONDS)
        return daemon.took, psutil.Process(daemon.process.pid).memory_info().rss / _MIB


def _imported(modules: list[str]) -> tuple[float, float]:
    """Seconds and MiB of a process that only imports."""
    code = f"import {', '.join(modules)}\nprint(open('/proc/self/statm').read().split()[1])"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    pages = int(done.stdout)
    return time.monotonic() - began, pages * 4096 / _MIB


def _beside(
    what: str, unit: str, samples: list[float], bare: list[float], target: Target | None = None
) -> Row:
    measured, baseline = middle(samples), middle(bare)
    return Row(
        bench="start-up",
        what=what,
        unit=unit,  # type: ignore[arg-type]  # the callers below give literals
        measured=measured,
        baseline=baseline,
        baseline_what='python -c "import aiohttp"',
        ratio=measured / baseline,
        target=target,
        samples=samples,
    )


def run(seed: int) -> Iterator[Row]:
    """Measures; gives each row as it is known."""
    bare = [_imported(["aiohttp"]) for _ in range(STARTS)]
    everything = [_imported(_EVERYTHING) for _ in range(FIRST_STARTS)]
    firsts: list[float] = []
    starts: list[float] = []
    idle: list[float] = []
    idle_at_first: list[float] = []
    with started("bench.server") as (_, url):
        for n in range(FIRST_STARTS):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                port = write_site(folder, _config(url), cases(20))
                took, memory = _start(folder, port, idle=n == 0)
                firsts.append(took)
                if memory is None:
                    continue
                idle_at_first.append(memory)
                # This store is whole after its idle time, baseline included: the restarts use it.
                for again in range(STARTS):
                    took, memory = _start(folder, port, idle=again == 0)
                    starts.append(took)
                    idle += [memory] if memory is not None else []
    seconds, memory_of_bare = [took for took, _ in bare], [held for _, held in bare]
    yield _beside("`run` to ready, the store exists", "s", starts, seconds, _TIME)
    yield _beside("`run` to ready, first start (the store is made)", "s", firsts, seconds, _TIME)
    yield _beside("resident, idle for 5 s after ready", "MiB", idle, memory_of_bare, _MEMORY)
    yield _beside("resident, idle after a first start", "MiB", idle_at_first, memory_of_bare, _MEMORY)
    yield _beside("every dependency imported: time", "s", [took for took, _ in everything], seconds)
    yield _beside("every dependency imported: resident", "MiB", [held for _, held in everything], memory_of_bare)
