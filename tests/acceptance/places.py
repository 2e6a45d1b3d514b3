"""Sites for daemons that will be killed: a fake endpoint, a fake Slack, and a grid that suits the test."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from monitor.grid import every_grid
from tests.fakes.llm import FakeLLM
from tests.fakes.slack import FakeSlack
from tests.site import Site

HOUR = timedelta(hours=1)


def place(
    folder: Path,
    store_url: str,
    llm: FakeLLM,
    slack: FakeSlack | None = None,
    *,
    every: timedelta = timedelta(seconds=1),
    concurrency: int = 2,
    endpoints: Sequence[str] = ("bot",),
) -> Site:
    """A site with a price and a cap, so that every request goes through the ledger; written to disk."""
    site = Site(folder, store_url, llm.url)
    one = {
        **site.config["endpoints"]["bot"],
        "limits": {"concurrency": concurrency, "usd_per_day": 1000.0},
        "price": {"input_per_mtok": 1.0, "output_per_mtok": 1.0},
    }
    site.config["endpoints"] = {name: {**one, "model": f"{name}-1"} for name in endpoints}
    probe = site.config["probes"].pop("quality")
    name = _young(endpoints[0], every) if every >= HOUR else "quality"
    site.config["probes"][name] = {
        **probe,
        "endpoint": list(endpoints),
        "every": f"{every // timedelta(seconds=1)}s",
    }
    if slack is not None:
        site.config["alerts"] = {"channels": {"oncall": {"kind": "slack", **slack.settings()}}}
    site.write()
    return site


def _young(endpoint: str, every: timedelta) -> str:
    """A name of a probe whose present slot has just begun: no test waits for the next one."""
    now = datetime.now(UTC)
    names = (f"quality-{n}" for n in count())
    return next(n for n in names if now - every_grid(every, endpoint, n).slot(now) < every / 4)
