"""A stream has one state, written by whoever read the one before."""

import asyncio
import math
from datetime import timedelta
from typing import Any

import pytest

from monitor.drift.detector import CaseReference, Reference, Verdict, VerdictKind
from monitor.store import streams
from monitor.store.engine import Store
from monitor.store.errors import Superseded
from monitor.store.tables import detector_snapshots, detector_states, round_stats
from monitor.store.tables import streams as stream_table
from tests.conftest import START
from tests.monitor.store.build import count

_STEADY = Verdict(kind=VerdictKind.STEADY)


async def _open(store: Store, source: str = "quality", **detectors: str) -> None:
    async with store.write() as connection:
        await streams.open_streams(
            connection, store, endpoint="bot", source=source, detectors=detectors, now=START
        )


async def _listed(store: Store, *of: str) -> dict[str, Any]:
    async with store.read() as connection:
        return {row.measure: row for row in await streams.listed(connection, *of)}


async def _save(store: Store, seq: int, verdict: Verdict = _STEADY, **state: Any) -> None:
    async with store.write() as connection:
        await streams.save_state(
            connection,
            store,
            stream_id=1,
            seq=seq,
            version=1,
            baseline="bas_1",
            state=state,
            verdict=verdict,
            slot=START,
        )


async def test_streams_are_opened_once_closed_and_opened_again(store: Store) -> None:
    await _open(store, score="paired", latency="ranks")
    before = await _listed(store)
    await _open(store, score="other", latency="ranks")
    await _open(store, source="speed", errors="failures")
    now = await _listed(store, "bot", "quality")
    assert {name: row.id for name, row in now.items()} == {name: row.id for name, row in before.items()}
    assert now["score"].detector == "other"
    async with store.write() as connection:
        await streams.close_streams(connection, [now["score"].id], START)
        await streams.close_streams(connection, [], START)
    assert set(await _listed(store)) == {"latency", "errors"}
    await _open(store, score="paired")
    assert (await _listed(store))["score"].id == before["score"].id


async def test_two_replicas_open_the_same_streams(pair: tuple[Store, Store]) -> None:
    names = {f"m{n:02}": "ranks" for n in range(30)}
    await asyncio.gather(*(_open(store, **names) for store in pair * 3))
    assert await count(pair[0], stream_table) == 30


async def test_thousands_of_streams_are_closed_together(store: Store) -> None:
    await _open(store, **{f"m{n:04}": "ranks" for n in range(1_100)})
    ids = [row.id for row in (await _listed(store)).values()]
    async with store.write() as connection:
        await streams.close_streams(connection, ids, START)
    assert await _listed(store) == {}


async def test_a_state_is_written_by_who_read_the_one_before(store: Store) -> None:
    await _open(store, score="paired")
    assert (await _listed(store))["score"].seq is None
    await _save(store, 0, v=1)
    await _save(store, 1, v=2)
    for stale in (0, 1, 3):
        with pytest.raises(Superseded, match="judged by another replica"):
            await _save(store, stale, v=99)
    row = (await _listed(store))["score"]
    assert (row.seq, row.state, row.baseline, row.slot) == (2, {"v": 2}, "bas_1", START)


@pytest.mark.parametrize("seq", [0, 1])
async def test_of_two_who_judge_one_stream_one_is_told_so(pair: tuple[Store, Store], seq: int) -> None:
    for before in range(seq):
        await _save(pair[0], before)
    ended = await asyncio.gather(*(_save(store, seq, v=7) for store in pair * 2), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ended) == ["NoneType", *["Superseded"] * 3]


async def test_a_state_that_outgrew_the_contract_is_refused(store: Store) -> None:
    await _save(store, 0, v="x" * (streams.STATE_LIMIT - len('{"v":""}')))
    with pytest.raises(ValueError, match=r"4097 bytes; at most 4096"):
        await _save(store, 1, v="x" * (streams.STATE_LIMIT - len('{"v":""}') + 1))
    with pytest.raises(ValueError, match="bytes"):
        await _save(store, 1, v="ü" * 2_100)
    assert await count(store, detector_states, detector_states.c.seq == 1) == 1


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(kind=VerdictKind.LEARNING),
        Verdict(
            kind=VerdictKind.CHANGED,
            evidence=9.125,
            threshold=7.05,
            direction="down",
            effect=-0.12,
            low=-0.2,
            high=-0.05,
            n=80,
            since=START - timedelta(hours=1, microseconds=5),
            cases=("basics/ü", "basics/2"),
            note="3 of 20 cases are new",
        ),
    ],
)
async def test_a_verdict_comes_back_as_it_was(store: Store, verdict: Verdict) -> None:
    await _open(store, score="paired")
    await _save(store, 0, verdict)
    assert streams.verdict_from((await _listed(store))["score"].verdict) == verdict


async def _snapshot(store: Store, days: int, reference: Reference, **state: Any) -> None:
    async with store.write() as connection:
        await streams.snapshot(
            connection,
            store,
            stream_id=1,
            day=START.date() + timedelta(days=days),
            slot=START + timedelta(days=days),
            baseline="bas_1",
            state=state,
            reference=reference,
        )


async def test_a_day_s_first_snapshot_is_the_one_that_counts(store: Store) -> None:
    cases = {f"basics/{n}": CaseReference(runs=n, total=n / 3, total_sq=math.pi * n) for n in range(300)}
    reference = Reference(prior={"rho": 0.1}, cases=cases, residuals=(0.1, -1e-300, 1 / 3))
    async with store.read() as connection:
        assert await streams.newest_snapshot(connection, 1) is None
    await _snapshot(store, 0, Reference(), v=0)
    await _snapshot(store, 1, reference, v=1)
    await _snapshot(store, 1, Reference(), v=2)
    async with store.read() as connection:
        assert await streams.has_snapshot(connection, 1, START.date())
        assert not await streams.has_snapshot(connection, 1, START.date() + timedelta(days=2))
        assert not await streams.has_snapshot(connection, 2, START.date())
        kept = await streams.newest_snapshot(connection, 1)
    assert kept == (START + timedelta(days=1), "bas_1", {"v": 1}, reference)
    assert await count(store, detector_snapshots) == 2


async def test_what_a_round_said_is_stored_once_for_each_stream(store: Store) -> None:
    row = {
        "at": START,
        "round_id": "rnd_1",
        "n": 3,
        "mean": 0.5,
        "variance": None,
        "low": 0.1,
        "high": 0.9,
        "sketch": {"-35": 3},
        "verdict": "steady",
        "evidence": 0.0,
        "threshold": None,
    }
    async with store.write() as connection:
        await streams.add_stats(connection, [])
        await streams.add_stats(connection, [{"stream_id": n, **row} for n in range(9)])
    assert await count(store, round_stats) == 9
