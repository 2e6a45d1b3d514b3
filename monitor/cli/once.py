"""`plumbline probe`: one round now, reply by reply."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor.assess import Closed
from monitor.cli.ending import Code, Refused
from monitor.cli.opening import finish_left_open, interruptible, open_runtime, pairs_of, read_config
from monitor.cli.options import Output
from monitor.cli.show import Columns, as_json, console, listing, moment, say, seconds, share, usd
from monitor.runtime import Runtime
from monitor.stat import Stat, summarise
from monitor.store import rounds
from monitor.watch import Watch
from probes import Outcome

_COLUMNS: Columns = {
    "case": ("case", str),
    "split": ("split", str),
    "outcome": ("outcome", str),
    "score": ("score", share),
    "latency": ("latency", seconds),
    "time_to_first_token": ("first token", seconds),
    "why": ("why", str),
}


def probe_once(path: Path, probe: str, endpoint: str | None, output: Output) -> Code:
    """Runs one manual round on each endpoint; a finding is an attempt that failed or could not be scored."""
    loaded = read_config(path)
    pairs = pairs_of(loaded.config, probe, endpoint)

    async def work() -> list[dict[str, Any]]:
        async with open_runtime(loaded) as runtime:
            with interruptible(runtime):
                return [await _round(runtime, runtime.watches[pair]) for pair in pairs]

    reports = asyncio.run(work())
    if output is Output.JSON:
        as_json(reports)
    else:
        for report in reports:
            _tell(report)
    found = any(row["outcome"] != Outcome.OK or row["score"] is None for r in reports for row in r["replies"])
    return Code.FINDING if found else Code.OK


async def _round(runtime: Runtime, watch: Watch) -> dict[str, Any]:
    await finish_left_open(runtime, watch)
    planned = min(watch.cases_per_round, len(watch.cases))
    with console(errors=True).status(f"asking {watch.endpoint} {planned} cases of {watch.probe}"):
        closed = await runtime.rounds.manual(watch)
    if closed is None and runtime.draining:
        raise Refused("stopped; the same command begins a new round")
    if closed is None:
        raise Refused(f"a round of {watch.probe} on {watch.endpoint} is under way; try again when it is over")
    async with runtime.store.read() as connection:
        rows = await rounds.load_results(connection, closed.claim)
    return _report(watch, closed, rows)


def _report(watch: Watch, closed: Closed, rows: Sequence[Any]) -> dict[str, Any]:
    answered = [row for row in rows if row.outcome == Outcome.OK]
    scored = [row for row in answered if row.score is not None]
    weights = [watch.cases[row.case_key].weight for row in scored]
    prices = [row.cost_nano for row in rows if row.cost_nano is not None]
    return {
        "round": closed.claim.id,
        "endpoint": watch.endpoint,
        "probe": watch.probe,
        "at": closed.claim.slot,
        "outcome": closed.outcome,
        "asked": len(rows),
        "answered": len(answered),
        "score": _interval(summarise([row.score for row in scored], weights, share=True)),
        "latency_seconds": _mean([row.elapsed for row in answered]),
        "time_to_first_token_seconds": _mean([row.first_token for row in answered]),
        "usd": sum(prices) / 1e9 if prices else None,
        "replies": [_reply(row) for row in rows],
    }


def _reply(row: Any) -> dict[str, Any]:
    # What a server, or a judge, says of a request may quote it, so of held-out cases it is not repeated.
    shown = row.split == "open"
    unscored = [
        ": ".join(filter(None, (str(each["reason"]), each.get("explanation", "") if shown else "")))
        for each in row.scores.values()
        if each.get("reason")
    ]
    detail = row.detail if shown else ""
    return {
        "case": row.case_key,
        "split": row.split,
        "outcome": row.outcome,
        "score": row.score,
        "latency": row.elapsed,
        "time_to_first_token": row.first_token,
        "why": detail or "; ".join(unscored) or None,
    }


def _mean(values: Sequence[float | None]) -> dict[str, Any] | None:
    known = [value for value in values if value is not None]
    return _interval(summarise(known, [1.0] * len(known), share=False))


def _interval(stat: Stat | None) -> dict[str, Any] | None:
    return None if stat is None else {"mean": stat.mean, "low": stat.low, "high": stat.high, "n": stat.n}


def _tell(report: dict[str, Any]) -> None:
    say(f"{report['endpoint']}/{report['probe']} at {moment(report['at'])} UTC")
    columns = {
        key: column
        for key, column in _COLUMNS.items()
        if key != "why" or any(row["why"] for row in report["replies"])
    }
    listing(report["replies"], columns, Output.TABLE, nothing="nothing was asked")
    say(f"{report['answered']} of {report['asked']} answered, round {report['outcome']}")
    for title, key, read in (
        ("score", "score", share),
        ("latency", "latency_seconds", seconds),
        ("first token", "time_to_first_token_seconds", seconds),
    ):
        if stat := report[key]:
            ends = f"{read(stat['low'])} to {read(stat['high'])}"
            say(f"{title} {read(stat['mean'])} ({ends}, n {stat['n']})")
    if report["usd"] is not None:
        say(f"cost {usd(report['usd'])}")
    say("a manual round is stored, but judges nothing")
