"""Row 3: the whole daemon, from the last reply of a round to its request arriving at Slack."""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bench import bare
from bench.daemon import running, write_site
from bench.processes import post, said, started
from bench.row import Row, Target, quantile
from monitor.store.engine import Store
from monitor.store.tables import incidents, notifications, results, rounds, transitions
from tests.fakes.slack import CHANNEL, TOKEN
from tests.site import answers, cases

ENDPOINTS = 4
CASES = 20
TRANSITIONS = 24
#: Seconds that each state of the endpoints lasts; the daemon asks every second.
PHASE_SECONDS = 4.0
#: What the endpoints do in turn: a wrong key is seen and forgiven in one round, worse answers take a few.
_TURNS = (
    {"fault": "401"},
    {"fault": "none"},
    {"fault": "401"},
    {"fault": "none"},
    {"skill": 0.0},
    {"skill": 1.0},
)
_LONGEST_SECONDS = 60.0

_TARGET = Target(sense="<=", must=500, aim=100, of="measured")


def _config(llm: str, slack: str) -> dict[str, Any]:
    names = [f"bot-{n}" for n in range(ENDPOINTS)]
    endpoint = {"kind": "openai", "url": llm, "model": "m-1", "timeout": "5s"}
    return {
        "endpoints": {name: dict(endpoint) for name in names},
        "eval_sets": {"basics": {"cases": "cases.jsonl", "scorers": ["exact"]}},
        "probes": {
            "quality": {"endpoint": names, "eval_sets": ["basics"], "every": "1s", "cases_per_round": CASES}
        },
        "alerts": {
            "channels": {"oncall": {"kind": "slack", "token": TOKEN, "channel": CHANNEL, "api_url": slack}}
        },
        "baseline": {"auto_accept": True},
    }


def _calls(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def _told(log: Path) -> dict[str, float]:
    """Notification -> when its first request was at Slack."""
    found: dict[str, float] = {}
    for call in _calls(log):
        payload = (call["arguments"].get("metadata") or {}).get("event_payload") or {}
        if "notification" in payload:
            found.setdefault(payload["notification"], call["at"])
    return found


async def _replied(store_url: str) -> dict[str, float]:
    """Notification -> when the last reply of the round that led to it was there."""
    store = Store(store_url)
    n, t, r = notifications.c, transitions.c, results.c
    query = (
        select(n.id, r.started, r.elapsed)
        .join(transitions, (t.incident_id == n.incident_id) & (t.seq == n.seq))
        .join(incidents, incidents.c.id == n.incident_id)
        .join(rounds, (rounds.c.endpoint == incidents.c.endpoint) & (rounds.c.slot == t.at))
        .join(results, (r.at == rounds.c.slot) & (r.round_id == rounds.c.id))
    )
    try:
        async with store.read() as connection:
            rows = (await connection.execute(query)).all()
    finally:
        await store.close()
    last: dict[str, float] = {}
    for row in rows:
        last[row.id] = max(last.get(row.id, 0.0), row.started.timestamp() + row.elapsed)
    return last


def _bare(url: str, slack: str, log: Path) -> list[float]:
    order = {
        "mode": "tell",
        "url": url,
        "slack": slack,
        "token": TOKEN,
        "channel": CHANNEL,
        "times": TRANSITIONS,
    }
    before = len(_calls(log))
    replied = said(bare.__name__, json.dumps(order))["replied"]
    arrived = [call["at"] for call in _calls(log)[before:]]
    return [(there - here) * 1000 for here, there in zip(replied, arrived, strict=True)]


def _ours(llm: str, slack: str, log: Path) -> list[float]:
    behave = f"{llm.removesuffix('/v1')}/fake/behaviour"
    before = _told(log).keys()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = write_site(folder, _config(llm, slack), cases(CASES))
        with running(folder, port):
            time.sleep(PHASE_SECONDS)  # captures its baselines
            until, turn = time.monotonic() + _LONGEST_SECONDS, 0
            while len(_told(log).keys() - before) < TRANSITIONS and time.monotonic() < until:
                post(behave, _TURNS[turn % len(_TURNS)])
                time.sleep(PHASE_SECONDS)
                turn += 1
        replied = asyncio.run(_replied(f"sqlite:///{folder}/plumbline.db"))
    told = _told(log)
    return [(told[each] - at) * 1000 for each, at in replied.items() if each in told]


def run(seed: int) -> Iterator[Row]:
    """Measures; gives each row as it is known."""
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "slack.jsonl"
        behaviour = json.dumps({"answers": answers(CASES), "seed": seed})
        with (
            started("tests.fakes.slack", "--port", "0", "--log", str(log)) as slack,
            started("tests.fakes.llm", "--behaviour", behaviour) as llm,
        ):
            theirs = _bare(llm.removesuffix("/v1"), slack, log)
            mine = _ours(llm, slack, log)
    for share in (0.5, 0.99):
        ours, bare_one = quantile(mine, share), quantile(theirs, share)
        yield Row(
            bench="reply-to-slack",
            what=f"last reply of a round to Slack, {len(mine)} transitions: p{share * 100:.0f}",
            unit="ms",
            measured=ours,
            baseline=bare_one,
            baseline_what="ask, then post at once",
            ratio=ours / bare_one,
            target=_TARGET if share == 0.99 else None,
            samples=mine,
        )
