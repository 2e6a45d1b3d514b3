"""`plumbline baseline capture`: says what it costs, asks, captures, and goes on where it was stopped."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from monitor import capture
from monitor.assess import Closed
from monitor.capture import Progress as Step
from monitor.capturing import scored
from monitor.cli.baseline import person
from monitor.cli.ending import Code, Refused
from monitor.cli.opening import finish_left_open, interruptible, open_runtime, pairs_of, read_config
from monitor.cli.show import console, say
from monitor.config.load import Loaded
from monitor.runtime import Runtime
from monitor.store import baselines
from monitor.store.baselines import Baseline
from monitor.watch import Watch
from probes import Outcome

_AGAIN_SECONDS = 1.0
_OURS = {Outcome.NO_BUDGET, Outcome.STORE_BUSY}


def capture_baselines(path: Path, probe: str, endpoint: str | None, *, yes: bool, reason: str) -> Code:
    """Captures a new version on each endpoint; a finding is one that was refused or not finished."""
    loaded = read_config(path)
    pairs = pairs_of(loaded.config, probe, endpoint)
    if not yes and not sys.stdin.isatty():
        raise Refused("a capture asks before it spends money; say --yes to go ahead", Code.USAGE)

    wanted = [pair for pair in asyncio.run(_estimated(loaded, pairs)) if yes or _agreed(pair)]
    captured = asyncio.run(_capture_all(loaded, wanted, reason)) if wanted else []
    return Code.OK if len(captured) == len(pairs) and all(captured) else Code.FINDING


async def _estimated(loaded: Loaded, pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Says what is still to be asked and paid for, of each pair."""
    async with open_runtime(loaded) as runtime:
        for pair in pairs:
            say(f"{'/'.join(pair)}: {await _still(runtime, runtime.watches[pair])}")
    return pairs


def _agreed(pair: tuple[str, str]) -> bool:
    return bool(typer.confirm(f"Capture a baseline of {'/'.join(pair)} now?", default=False))


async def _capture_all(loaded: Loaded, pairs: Sequence[tuple[str, str]], reason: str) -> list[bool]:
    done = []
    async with open_runtime(loaded) as runtime:
        with interruptible(runtime):
            for pair in pairs:
                if not runtime.draining:
                    done.append(await _capture(runtime, runtime.watches[pair], reason))
    return done


async def _capture(runtime: Runtime, watch: Watch, reason: str) -> bool:
    await finish_left_open(runtime, watch)
    version, step = await _run(runtime, watch, reason)
    async with runtime.store.read() as connection:
        came = scored(watch, await baselines.captured_results(connection, version.id))
    return _tell(f"{watch.endpoint}/{watch.probe}", watch, version, step, came, draining=runtime.draining)


async def _run(runtime: Runtime, watch: Watch, reason: str) -> tuple[Baseline, Step | None]:
    """Captures until the version is done for, whoever finishes it: a daemon may work on it as well."""
    ended: list[Mapping[str, int]] = []

    def note(_: Watch, closed: Closed) -> None:
        ended.append(closed.outcomes)

    runtime.on_closed = note
    step: Step | None = None
    with _bar() as progress:
        bar = progress.add_task(f"{watch.endpoint}/{watch.probe}", total=None)
        while True:
            steps = runtime.captures.capturing(watch, author=person(), reason=reason)
            async for step in steps:
                progress.update(bar, completed=step.done, total=step.wanted)
            version = await _newest(runtime, watch)
            stuck = bool(ended) and not set(ended[-1]) - _OURS
            if version.state != baselines.CAPTURING or runtime.draining or stuck:
                return version, step
            await asyncio.sleep(_AGAIN_SECONDS)  # a scheduled round is open; it goes first


def _tell(
    name: str, watch: Watch, version: Baseline, step: Step | None, came: str, *, draining: bool
) -> bool:
    again = "run the same command again to go on"
    match version.state:
        case baselines.REFUSED:
            say(f"{name}: version {version.version} was refused: {version.reason}")
            say(
                f"`plumbline probe {watch.probe} --endpoint {watch.endpoint}` shows each reply, and the cure."
            )
            return False
        case baselines.CAPTURING:
            done = f"{step.done} of {step.wanted} replies are kept" if step else "nothing was asked"
            why = "stopped" if draining else "the budget or the store did not let it go on"
            say(f"{name}: {why}; {done}, {again}")
            return False
        case baselines.PROVISIONAL:
            accept = f"plumbline baseline accept {watch.probe} --endpoint {watch.endpoint}"
            say(f"{name}: version {version.version} is captured{came}.")
            say(f"It is provisional until you run `{accept}`.")
        case _:
            say(f"{name}: version {version.version} is captured and {version.state}{came}.")
    return True


async def _still(runtime: Runtime, watch: Watch) -> str:
    async with runtime.store.read() as connection:
        begun = await baselines.capturing(connection, *watch.key, watch.subject)
        if begun is None:
            return str(capture.estimate(watch))
        rows = await baselines.captured_results(connection, begun.id)
    return f"{capture.estimate(watch, capture.progress(watch, rows))}, going on with version {begun.version}"


async def _newest(runtime: Runtime, watch: Watch) -> Baseline:
    async with runtime.store.read() as connection:
        every = await baselines.versions(connection, *watch.key)
    return next(each for each in every if each.subject == watch.subject)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console(errors=True),
        disable=not sys.stderr.isatty(),
    )
