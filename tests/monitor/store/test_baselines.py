"""Which version judges, and what it knows of each case."""

import array
import math
import struct
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from monitor.drift.detector import CaseReference, Reference
from monitor.store import baselines, rounds
from monitor.store.baselines import ACCEPTED, CAPTURING, PROVISIONAL, REFUSED, RETIRED, STALE, Baseline
from monitor.store.engine import Store
from monitor.store.tables import case_references, residual_samples
from tests.conftest import START
from tests.monitor.store.build import append, claim, open_round, result


async def _begin(store: Store, id: str, subject: str = "m-1", probe: str = "quality") -> Baseline:
    async with store.write() as connection:
        return await baselines.begin(
            connection,
            id=id,
            endpoint="bot",
            probe=probe,
            subject=subject,
            author="ada",
            reason="first",
            now=START,
        )


async def _set(store: Store, id: str, state: str, **values: Any) -> None:
    async with store.write() as connection:
        await baselines.set_state(connection, id, state, **values)


async def _accept(store: Store, baseline: Baseline) -> None:
    async with store.write() as connection:
        await baselines.accept(connection, baseline, who="grace", why="looks right", now=START)


async def _states(store: Store) -> dict[str, str]:
    async with store.read() as connection:
        return {each.id: each.state for each in await baselines.versions(connection, "bot", "quality")}


async def _active(store: Store, subject: str = "m-1") -> str | None:
    async with store.read() as connection:
        found = await baselines.active(connection, "bot", "quality", subject)
        return None if found is None else found.id


async def test_a_capture_judges_nobody_until_it_has_ended(store: Store) -> None:
    made = await _begin(store, "one")
    assert (made.version, made.state) == (1, CAPTURING)
    assert await _active(store) is None
    async with store.read() as connection:
        assert await baselines.capturing(connection, "bot", "quality", "m-1") == made
        assert await baselines.capturing(connection, "bot", "quality", "m-2") is None
    await _set(store, "one", PROVISIONAL, fits={"score": {"rho": 0.1}})
    assert await _active(store) == "one"
    async with store.read() as connection:
        assert await baselines.capturing(connection, "bot", "quality", "m-1") is None
        (found,) = await baselines.versions(connection, "bot", "quality")
    assert found.fits == {"score": {"rho": 0.1}}


async def test_the_newest_provisional_version_judges_until_one_is_accepted(store: Store) -> None:
    one, two = await _begin(store, "one"), await _begin(store, "two")
    assert (one.version, two.version) == (1, 2)
    for id in ("one", "two"):
        await _set(store, id, PROVISIONAL)
    assert await _active(store) == "two"
    await _accept(store, one)
    assert await _active(store) == "one"
    assert await _states(store) == {"two": RETIRED, "one": ACCEPTED}
    await _begin(store, "three")
    await _set(store, "three", PROVISIONAL)
    assert await _active(store) == "one", "a new capture does not judge before a person says so"
    await _accept(store, two)
    assert await _states(store) == {"three": RETIRED, "two": ACCEPTED, "one": RETIRED}
    async with store.read() as connection:
        judge = await baselines.active(connection, "bot", "quality", "m-1")
    assert judge is not None
    assert (judge.author, judge.reason, judge.accepted) == ("grace", "looks right", START)


async def test_a_stale_or_refused_version_judges_nobody(store: Store) -> None:
    await _begin(store, "one")
    await _set(store, "one", REFUSED, reason="9 of 20 attempts failed")
    assert await _active(store) is None
    await _begin(store, "two")
    await _set(store, "two", PROVISIONAL)
    assert await _active(store, "m-2") is None, "it was captured from another model"
    await _set(store, "two", STALE)
    assert await _active(store) is None


async def test_accepting_one_probe_s_version_leaves_the_others(store: Store) -> None:
    here, there = await _begin(store, "here"), await _begin(store, "there", probe="other")
    await _set(store, "here", PROVISIONAL)
    await _accept(store, there)
    assert await _states(store) == {"here": PROVISIONAL}
    await _accept(store, here)
    async with store.read() as connection:
        (other,) = await baselines.versions(connection, "bot", "other")
    assert other.state == ACCEPTED


@pytest.mark.parametrize("late", [PROVISIONAL, REFUSED])
async def test_a_second_end_of_one_capture_does_not_undo_what_a_person_decided(
    store: Store, late: str
) -> None:
    one = await _begin(store, "one")
    await _set(store, "one", PROVISIONAL)
    await _accept(store, one)
    await _set(store, "one", late)
    assert await _states(store) == {"one": ACCEPTED}


def _reference(count: int, runs: int = 3) -> Reference:
    cases = {f"basics/{n}": CaseReference(runs=runs, total=n / 7, total_sq=n * math.pi) for n in range(count)}
    return Reference(prior={"rho": 0.1}, cases=cases, residuals=(0.5, -0.25))


async def _write(store: Store, reference: Reference, basis: str = "b", *, captured: bool) -> None:
    async with store.write() as connection:
        await baselines.write_reference(
            connection,
            store,
            baseline="one",
            measure="score",
            reference=reference,
            basis=dict.fromkeys(reference.cases, basis),
            captured=captured,
        )


async def _load(store: Store, *keys: str, basis: str = "b", measure: str = "score") -> Reference:
    async with store.read() as connection:
        return await baselines.load_reference(
            connection, baseline="one", measure=measure, prior={"rho": 0.1}, basis=dict.fromkeys(keys, basis)
        )


@pytest.mark.parametrize("count", [3, 5_000])
async def test_a_reference_comes_back_as_it_was_also_of_a_large_pool(store: Store, count: int) -> None:
    reference = _reference(count)
    await _write(store, reference, captured=True)
    assert await _load(store, *reference.cases) == reference
    some = await _load(store, "basics/1", "basics/none")
    assert some.cases == {"basics/1": reference.cases["basics/1"]}
    assert (await _load(store)).cases == {}
    assert (await _load(store, "basics/1", measure="latency")).cases == {}


@pytest.mark.parametrize("count", [3, 600])
async def test_a_case_whose_basis_has_changed_counts_as_never_seen(store: Store, count: int) -> None:
    reference = _reference(count)
    await _write(store, reference, captured=True)
    assert (await _load(store, *reference.cases, basis="another scorer")).cases == {}
    learnt = Reference(cases={"basics/1": CaseReference(runs=1, total=1.0, total_sq=1.0)})
    await _write(store, learnt, "another scorer", captured=False)
    assert (await _load(store, *reference.cases, basis="another scorer")).cases == learnt.cases
    assert "basics/1" not in (await _load(store, *reference.cases)).cases


async def test_what_is_learnt_later_leaves_the_original_capture_alone(store: Store) -> None:
    await _write(store, _reference(2), captured=True)
    await _write(store, _reference(3, runs=9), captured=False)
    table = case_references
    async with store.read() as connection:
        query = select(table.c.runs, table.c.captured_runs, table.c.captured_total).order_by(table.c.case_key)
        rows = [tuple(row) for row in await connection.execute(query)]
    assert rows == [(9, 3, 0.0), (9, 3, 1 / 7), (9, 0, 0.0)]
    assert (await _load(store, "basics/0")).residuals == (0.5, -0.25)


@given(st.lists(st.floats(allow_nan=False), max_size=50))
def test_residuals_are_kept_to_the_last_bit_in_one_byte_order(values: list[float]) -> None:
    packed = baselines._pack(values)
    assert packed == struct.pack(f"<{len(values)}d", *values)
    assert array.array("d", baselines._unpack(packed)).tobytes() == array.array("d", values).tobytes()


async def test_a_residual_sample_is_replaced_and_empty_where_there_is_none(store: Store) -> None:
    assert (await _load(store, "x")).residuals == ()
    for sample in ((1.0, 2.0), (math.pi,) * 2_000, ()):
        async with store.write() as connection:
            await baselines.write_residuals(connection, store, "one", "score", sample)
        assert (await _load(store, "x")).residuals == sample


async def test_residuals_written_by_any_machine_are_read(store: Store) -> None:
    body = bytes.fromhex("000000000000f03f") + bytes.fromhex("182d4454fb210940")
    async with store.write() as connection:
        await connection.execute(insert(residual_samples).values(baseline="one", measure="score", body=body))
    assert (await _load(store)).residuals == (1.0, math.pi)


async def test_the_attempts_of_a_capture_are_found_and_no_others(store: Store) -> None:
    await _begin(store, "one")
    await _begin(store, "two")
    months = timedelta(days=40)
    chunks = [
        claim("rnd_1", kind="baseline", baseline="one"),
        claim("rnd_2", kind="baseline", baseline="one", slot=START + months),
        claim("rnd_3", kind="baseline", baseline="two", slot=START + timedelta(minutes=1)),
        claim("rnd_4", slot=START + timedelta(minutes=2)),
    ]
    for chunk in reversed(chunks):
        assert await open_round(store, chunk)
        await append(store, chunk, [result(chunk, seq) for seq in (1, 0)])
        async with store.write() as connection:
            await rounds.hold(connection, store, chunk, state="closed", outcome="complete")
    async with store.read() as connection:
        found = await baselines.captured_results(connection, "one")
        assert await baselines.captured_results(connection, "none") == []
    assert [(row.round_id, row.seq) for row in found] == [
        ("rnd_1", 0),
        ("rnd_1", 1),
        ("rnd_2", 0),
        ("rnd_2", 1),
    ]
