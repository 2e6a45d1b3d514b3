"""The product's own path as a process: a runtime built from a config file, and rounds run through it.

`python -m bench.walk '{"mode": "manual", "url": ..., "store": ..., "folder": ..., "cases": 1000, ...}'`
"""

import asyncio
import json
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bench.spent import cpu_seconds
from monitor import memory
from monitor.store.tables import results
from tests.site import Bench, Site, bench, cases


def _now() -> datetime:
    return datetime.now(UTC)


def _site(order: dict[str, Any]) -> Site:
    site = Site(Path(order["folder"]), order["store"], f"{order['url']}/v1")
    limits = {"concurrency": order["concurrency"]}
    if order.get("per_minute"):
        limits["requests_per_minute"] = order["per_minute"]
    site.config["endpoints"]["bot"] |= {
        "params": {"temperature": 0, "max_tokens": 16},
        "limits": limits,
    }
    site.config["probes"]["quality"] |= {"every": "1h", "cases_per_round": order["cases"]}
    site.config["baseline"] |= {"runs": 1}
    site.cases = cases(order["cases"])
    return site


async def _stored(it: Bench, claim: Any) -> list[Any]:
    async with it.store.read() as connection:
        found = await connection.execute(
            select(
                results.c.case_key,
                results.c.outcome,
                results.c.score,
                results.c.first_token,
                results.c.elapsed,
            ).where(results.c.round_id == claim.id)
        )
        return list(found.all())


async def manual(it: Bench) -> dict[str, Any]:
    """One round on request: ask, score, store; it judges nothing."""
    before = cpu_seconds()
    closed = await it.runtime.rounds.manual(it.watch)
    cpu, whole = cpu_seconds() - before, cpu_seconds()
    assert closed is not None
    rows = await _stored(it, closed.claim)
    return {
        "cpu": cpu,
        "whole_cpu": whole,
        "right": sum(row.outcome == "ok" and row.score == 1.0 for row in rows),
        "measured": [(_prompt(row.case_key), row.first_token, row.elapsed) for row in rows],
    }


async def judged(it: Bench) -> dict[str, Any]:
    """A captured baseline, then a round that judges nothing, and one with everything that follows from it."""
    await it.capture()
    start = cpu_seconds()
    await it.runtime.rounds.manual(it.watch)
    middle = cpu_seconds()
    outcome = await it.runtime.rounds.scheduled(it.watch, it.watch.grid.after(_now()))
    if outcome != "complete":
        raise RuntimeError(f"the round ended as {outcome}")
    return {"unjudged": middle - start, "judged": cpu_seconds() - middle}


def _prompt(case_key: str) -> str:
    """Case `c17`, wherever it stands in the key, asked `q17`."""
    return "q" + case_key.rpartition("c")[2]


async def _run(order: dict[str, Any]) -> dict[str, Any]:
    async with bench(_site(order), _now, order["seed"]) as it:
        lag = asyncio.create_task(it.runtime.lag.watch())  # the daemon watches it all the time
        memory.settle()  # as `plumbline run` does
        try:
            return await {"manual": manual, "judged": judged}[order["mode"]](it)
        finally:
            lag.cancel()
            with suppress(asyncio.CancelledError):
                await lag


def main() -> None:
    """Reads its order from the command line and answers with one line of JSON."""
    print(json.dumps(asyncio.run(_run(json.loads(sys.argv[1])))))


if __name__ == "__main__":
    main()
