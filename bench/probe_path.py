"""Row 1: what asking, scoring and storing 1,000 cases costs, beside a bare loop that only asks."""

import json
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench import bare, stores, walk
from bench.processes import post, said, started
from bench.row import Row, Target, middle

CASES = 1_000
CONCURRENCY = 50
ROUNDS = 5
PACED_ROUNDS = 3
REPLY_SECONDS = 0.05

_CPU = Target(sense="<=", must=2.5, aim=1.5, of="ratio")
_RATE = Target(sense=">=", must=0.9, aim=0.97, of="ratio")
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def _window(url: str) -> float:
    """Seconds from the first request to the last reply, as the server saw them."""
    stamps: list[tuple[str, float, float, float]] = post(f"{url}/bench/stamps")
    return max(sent for _, _, _, sent in stamps) - min(seen for _, seen, _, _ in stamps)


def _bare(url: str, *, streamed: bool) -> dict[str, float]:
    order = {"mode": "closed", "url": url, "cases": CASES, "concurrency": CONCURRENCY, "streamed": streamed}
    return _checked(said(bare.__name__, json.dumps(order)), url)


def _ours(url: str, kind: str, seed: int) -> dict[str, float]:
    return _checked(walked("manual", url, kind, seed), url)


def walked(mode: str, url: str, kind: str, seed: int, **more: Any) -> dict[str, Any]:
    """The product's path in a process of its own, on an empty store."""
    with tempfile.TemporaryDirectory() as folder, stores.empty(kind, Path(folder)) as store:
        order = {"mode": mode, "url": url, "store": store, "folder": folder, "seed": seed}
        order |= {"cases": CASES, "concurrency": CONCURRENCY, **more}
        done: dict[str, Any] = said(walk.__name__, json.dumps(order))
        return done


def _checked(done: dict[str, Any], url: str) -> dict[str, float]:
    if done["right"] != CASES:
        raise RuntimeError(f"{done['right']} of {CASES} answers were right: the numbers would mean nothing")
    return {"cpu": done["cpu"], "rate": CASES / _window(url)}


def _rounds(url: str, seed: int, rounds: int, kinds: list[str]) -> dict[str, list[dict[str, float]]]:
    """All contestants in turns, so that a noisy minute hits them alike."""
    contestants: dict[str, Callable[[], dict[str, float]]] = {
        "bare": partial(_bare, url, streamed=False),
        "bare streamed": partial(_bare, url, streamed=True),
        **{kind: partial(_ours, url, kind, seed) for kind in kinds},
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            found[name].append(run())
    return found


def _row(
    found: dict[str, list[dict[str, float]]],
    ours: str,
    against: str,
    key: str,
    what: str,
    target: Target | None,
) -> Row:
    mine = [each[key] for each in found[ours]]
    theirs = [each[key] for each in found[against]]
    return Row(
        bench="probe-path",
        what=what,
        unit="s" if key == "cpu" else "requests/s",
        measured=middle(mine),
        baseline=middle(theirs),
        baseline_what=f"{against} aiohttp loop",
        ratio=middle([a / b for a, b in zip(mine, theirs, strict=True)]),
        target=target,
        samples=mine,
    )


def run(seed: int) -> Iterator[Row]:
    """Measures; gives each row as it is known."""
    kinds = stores.kinds()
    with started("bench.server") as url:
        found = _rounds(url, seed, ROUNDS, kinds)
        for kind in kinds:
            what = f"{CASES:,} cases asked, scored, stored ({_NAMES[kind]}): CPU beyond start-up"
            yield _row(found, kind, "bare", "cpu", what, _CPU)
            yield _row(found, kind, "bare streamed", "cpu", "… against a loop that streams as we do", _CPU)
        warm = walked("judged", url, "sqlite", seed)
        yield Row(
            bench="probe-path",
            what="a later round, judged by every detector (SQLite): CPU",
            unit="s",
            measured=warm["judged"],
            baseline=warm["unjudged"],
            baseline_what="the same, unjudged",
            ratio=warm["judged"] / warm["unjudged"],
            samples=[warm["judged"]],
        )
        post(f"{url}/bench/pace", {"first": REPLY_SECONDS, "rest": 0.0, "spread": 0.0, "seed": seed})
        post(f"{url}/bench/stamps")
        found = _rounds(url, seed, PACED_ROUNDS, kinds)
        for kind in kinds:
            what = f"the same at {REPLY_SECONDS * 1000:.0f} ms replies ({_NAMES[kind]}): rate in the window"
            yield _row(found, kind, "bare", "rate", what, _RATE)
