"""`plumbline baseline`: captures, shows, accepts and goes back."""

import asyncio
import getpass
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.cli.ending import Code, Refused
from monitor.cli.opening import now, open_store, pair_of, pairs_of, read_config
from monitor.cli.options import Output
from monitor.cli.show import Columns, as_json, listing, moment, say
from monitor.config.model import Config
from monitor.stat import wilson
from monitor.store import baseline_history, baselines
from monitor.store.baseline_history import Known, NotUsable
from monitor.store.baselines import Baseline
from monitor.watch import subject_hash

_COLUMNS: Columns = {
    "endpoint": ("endpoint", str),
    "version": ("version", str),
    "state": ("state", str),
    "judges": ("judges", lambda judges: "yes" if judges else ""),
    "created": ("captured", moment),
    "accepted": ("accepted", moment),
    "author": ("by", str),
    "reason": ("reason", str),
}
_MEASURES: Columns = {
    "measure": ("measure", str),
    "cases": ("cases", str),
    "runs": ("runs", str),
    "mean": ("mean", "{:.3f}".format),
}


def list_versions(path: Path, probe: str, endpoint: str | None, output: Output) -> None:
    """Every version, newest first."""
    config = read_config(path, secrets=False).config

    async def work() -> list[dict[str, Any]]:
        async with open_store(config) as store, store.read() as connection:
            return [
                row
                for pair in pairs_of(config, probe, endpoint)
                for row in await _rows(connection, config, *pair)
            ]

    cure = f"capture one with `plumbline baseline capture {probe}`"
    listing(asyncio.run(work()), _COLUMNS, output, nothing=f"no baseline yet; {cure}")


def show_version(path: Path, probe: str, endpoint: str | None, version: int | None, output: Output) -> None:
    """One version with what it knows: the named one, else the one that judges, else the newest."""
    config = read_config(path, secrets=False).config

    async def work() -> list[dict[str, Any]]:
        async with open_store(config) as store, store.read() as connection:
            return [
                await _whole(connection, config, *pair, version) for pair in pairs_of(config, probe, endpoint)
            ]

    found = asyncio.run(work())
    if output is Output.JSON:
        as_json(found)
        return
    for each in found:
        judging = ", judges now" if each["judges"] else ""
        say(f"{each['endpoint']}/{probe}: version {each['version']}, {each['state']}{judging}")
        accepted = f", accepted {moment(each['accepted'])} UTC" if each["accepted"] else ""
        say(f"captured {moment(each['created'])} UTC{accepted}, by {each['author']}: {each['reason']}")
        say(*_scored(each["measures"]))
        listing(each["measures"], _MEASURES, output, nothing="it knows nothing yet")


def accept(path: Path, probe: str, endpoint: str | None, version: int | None, reason: str | None) -> None:
    """Makes a captured version the one that judges."""
    config = read_config(path, secrets=False).config
    pair = pair_of(config, probe, endpoint)

    def choose(connection: AsyncConnection, subject: str) -> Awaitable[Baseline]:
        return baseline_history.choose_to_accept(connection, *pair, subject, version)

    _decide(config, pair, choose, "accepted", reason)


def roll_back(path: Path, probe: str, endpoint: str | None, reason: str | None) -> None:
    """Lets the accepted version before this one judge again."""
    config = read_config(path, secrets=False).config
    pair = pair_of(config, probe, endpoint)

    def choose(connection: AsyncConnection, subject: str) -> Awaitable[Baseline]:
        return baseline_history.choose_to_roll_back(connection, *pair, subject)

    _decide(config, pair, choose, "brought back", reason)


def _decide(
    config: Config,
    pair: tuple[str, str],
    choose: Callable[[AsyncConnection, str], Awaitable[Baseline]],
    what: str,
    reason: str | None,
) -> None:
    why, subject = reason or _ask_reason(), subject_hash(config.endpoints[pair[0]])

    async def work() -> Baseline:
        async with open_store(config) as store, store.write() as connection:
            chosen = await choose(connection, subject)
            await baseline_history.decide(connection, chosen, what=what, who=person(), why=why, now=now())
            return chosen

    try:
        chosen = asyncio.run(work())
    except NotUsable as error:
        raise Refused(f"{'/'.join(pair)}: {error}") from error
    say(f"{'/'.join(pair)}: version {chosen.version} {what}; it judges from the next round on")


def _ask_reason() -> str:
    if not sys.stdin.isatty():
        raise Refused("say why with --reason", Code.USAGE)
    return str(typer.prompt("Why"))


def person() -> str:
    """Who sits here, as the audit names them: user@host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


async def _rows(
    connection: AsyncConnection, config: Config, endpoint: str, probe: str
) -> list[dict[str, Any]]:
    subject = subject_hash(config.endpoints[endpoint])
    judging = await baselines.active(connection, endpoint, probe, subject)
    return [
        {
            "id": each.id,
            "endpoint": endpoint,
            "probe": probe,
            "version": each.version,
            "state": each.state,
            "judges": judging is not None and each.id == judging.id,
            "created": each.created,
            "accepted": each.accepted,
            "author": each.author,
            "reason": each.reason,
        }
        for each in await baselines.versions(connection, endpoint, probe)
    ]


async def _whole(
    connection: AsyncConnection, config: Config, endpoint: str, probe: str, version: int | None
) -> dict[str, Any]:
    rows = await _rows(connection, config, endpoint, probe)
    wanted = [row for row in rows if version is None or row["version"] == version]
    if not wanted:
        which = "no baseline" if version is None else f"no version {version}"
        raise Refused(f"{endpoint}/{probe} has {which}; see `plumbline baseline list {probe}`")
    row = next((row for row in wanted if row["judges"]), wanted[0])
    known = await baseline_history.known(connection, row["id"])
    return {**row, "measures": [_measure(measure, each) for measure, each in known.items()]}


def _measure(measure: str, known: Known) -> dict[str, Any]:
    row = {
        "measure": measure,
        "cases": known.cases,
        "runs": known.runs,
        "mean": None,
        "low": None,
        "high": None,
    }
    if measure != "score" or not known.runs:
        return row  # other measures are kept on their detector's own scale
    mean = known.total / known.runs
    low, high = wilson(mean, known.runs)
    return {**row, "mean": mean, "low": low, "high": high}


def _scored(measures: Sequence[Mapping[str, Any]]) -> list[str]:
    """The pool's score in one line; none where there is no score."""
    return [
        f"score {each['mean']:.2f} ({each['low']:.2f} to {each['high']:.2f}, n {each['runs']})"
        for each in measures
        if each["mean"] is not None
    ]
