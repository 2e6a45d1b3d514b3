"""Baselines outlive the version of the detectors that they were captured for."""

from pathlib import Path

from sqlalchemy import select, update

from monitor.store.tables import baselines
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.monitor.timeless import bench
from tests.site import Site, answers


async def test_references_of_an_earlier_detector_are_made_anew_from_the_kept_capture(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    fake = FakeLLM(answers=answers(), latency=0.02)
    async with fake as llm, bench(Site(tmp_path, store_url, llm.url), clock) as it:
        await it.capture()
        await it.run(clock, 2)
        async with it.store.write() as connection:
            found = (await connection.execute(select(baselines.c.id, baselines.c.fits))).one()
            old = {**found.fits, "score": {"mean": 0.9, "worth": 3.0}}  # as version 1 had fitted it
            await connection.execute(update(baselines).where(baselines.c.id == found.id).values(fits=old))
        said = await it.reload()
        asked = len(llm.requests)
        assert await it.run(clock, 2) == ["complete"] * 2
        async with it.store.read() as connection:
            now = (await connection.execute(select(baselines.c.fits))).scalar_one()
        assert await it.reload() == []
    assert said == ["bot/quality: score compared anew, from the kept capture"]
    assert now["score"].keys() == found.fits["score"].keys()
    assert now["output_tokens"] == found.fits["output_tokens"]
    assert len(llm.requests) == asked + 20
