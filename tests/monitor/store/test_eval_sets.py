"""A version is made when something changed, and what people added stays whatever the file says."""

import asyncio
from collections.abc import Iterable

from sqlalchemy import insert, select, update

from monitor.store import eval_sets
from monitor.store.engine import Store
from monitor.store.tables import eval_set_cases, eval_set_versions
from probes import Case
from probes.case import Provenance, ScorerSpec
from rotation.eval_set import Version
from tests.conftest import START
from tests.monitor.store.build import count
from tests.rotation.build import case


def _cases(*names: str) -> list[Case]:
    return [case(name, f"question {name}") for name in names]


async def _sync(store: Store, cases: Iterable[Case], name: str = "basics") -> Version:
    async with store.write() as connection:
        return await eval_sets.sync_file(
            connection, store, name, list(cases), now=START, author="config", reason="cases.jsonl read"
        )


async def _active(store: Store) -> dict[str, str]:
    """Case id -> layer."""
    table = eval_set_cases
    async with store.read() as connection:
        found = await connection.execute(
            select(table.c.case_id, table.c.layer).where(table.c.retired.is_(None))
        )
        return {name: layer for name, layer in found}


async def _grow(store: Store, one: Case) -> None:
    async with store.write() as connection:
        await connection.execute(
            insert(eval_set_cases).values(
                eval_set="basics",
                case_hash=one.content_hash,
                layer="grown",
                case_id=one.id,
                body={},
                added=START,
                retired=None,
            )
        )


async def _retire(store: Store, one: Case) -> None:
    async with store.write() as connection:
        await connection.execute(
            update(eval_set_cases).where(eval_set_cases.c.case_hash == one.content_hash).values(retired=START)
        )


async def test_a_new_version_is_made_only_where_something_changed(store: Store) -> None:
    one = await _sync(store, _cases("a", "b"))
    same = await _sync(store, reversed(_cases("a", "b")))
    two = await _sync(store, _cases("a", "b", "c"))
    assert (one.number, same, two.number, two.parent) == (1, one, 2, one.hash)
    assert two.cases == tuple(sorted(each.content_hash for each in _cases("a", "b", "c")))
    async with store.read() as connection:
        assert await eval_sets.current(connection, "basics") == two
        assert await eval_sets.current(connection, "other") is None
    assert (await _sync(store, _cases("a"), "other")).number == 1


async def test_an_empty_file_has_a_version_too(store: Store) -> None:
    assert (await _sync(store, [])).cases == ()
    assert (await _sync(store, [])).number == 1


async def test_a_line_that_goes_retires_its_case_and_one_that_returns_brings_it_back(store: Store) -> None:
    await _sync(store, _cases("a", "b"))
    gone = await _sync(store, _cases("a"))
    assert await _active(store) == {"a": "file"}
    assert len(gone.cases) == 1
    back = await _sync(store, _cases("a", "b"))
    assert await _active(store) == {"a": "file", "b": "file"}
    assert back.number == 3
    assert await count(store, eval_set_cases) == 2


async def test_a_changed_line_is_another_case(store: Store) -> None:
    await _sync(store, [case("a", "before")])
    await _sync(store, [case("a", "after")])
    assert await count(store, eval_set_cases, eval_set_cases.c.retired.is_(None)) == 1
    assert await count(store, eval_set_cases) == 2


async def test_a_grown_case_survives_every_sync_of_the_file(store: Store) -> None:
    (grown,) = _cases("grown")
    await _sync(store, _cases("a"))
    await _grow(store, grown)
    for file in (_cases("a"), _cases("b"), [], _cases("grown"), _cases("a")):
        version = await _sync(store, file)
        assert grown.content_hash in version.cases
        assert (await _active(store))["grown"] == "grown"


async def test_a_grown_case_that_a_person_retired_stays_away_until_the_file_has_it(store: Store) -> None:
    (grown,) = _cases("grown")
    await _sync(store, _cases("a"))
    await _grow(store, grown)
    await _retire(store, grown)
    assert grown.content_hash not in (await _sync(store, _cases("a"))).cases
    assert grown.content_hash in (await _sync(store, _cases("a", "grown"))).cases
    assert await _active(store) == {"a": "file", "grown": "file"}
    assert grown.content_hash not in (await _sync(store, _cases("a"))).cases


async def test_two_replicas_that_read_a_changed_file_make_one_version(pair: tuple[Store, Store]) -> None:
    for file in (_cases("a", "b"), _cases("b", "c", "d"), _cases("a", "d")):
        made = await asyncio.gather(*(_sync(store, file) for store in pair * 2))
        assert len({version.number for version in made}) == 1
    assert await count(pair[0], eval_set_versions) == 3


async def test_thousands_of_cases_come_and_go(store: Store) -> None:
    many = [case(f"c{n}", f"question {n}") for n in range(2_500)]
    assert len((await _sync(store, many)).cases) == 2_500
    assert (await _sync(store, [])).cases == ()
    assert len((await _sync(store, many)).cases) == 2_500
    assert len(await _active(store)) == 2_500


async def test_the_whole_case_is_kept(store: Store) -> None:
    whole = case(
        "a",
        target=("1", "one"),
        params={"temperature": 0},
        scorers=(ScorerSpec(kind="exact", params={"strip": True}),),
        tags=("math",),
        weight=2.0,
        difficulty=0.5,
        metadata={"from": "ünï"},
        family="numbers",
        provenance=Provenance(source="expert", author="ada"),
    )
    await _sync(store, [whole])
    async with store.read() as connection:
        body = (await connection.execute(select(eval_set_cases.c.body))).scalar_one()
    assert body["messages"] == [{"role": "user", "content": "hello"}]
    assert body["target"] == ["1", "one"]
    assert body["scorers"] == [{"kind": "exact", "params": {"strip": True}, "version": 1}]
    assert body["provenance"]["author"] == "ada"
    assert (body["weight"], body["metadata"], body["family"]) == (2.0, {"from": "ünï"}, "numbers")
