"""status --speed, and the few numbers that status shows."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import Clock
from tests.site import bench


@pytest.fixture
def rounds(site):
    """The site after a capture (100 replies) and a round (10) of an hour ago; its endpoint has a price."""
    site.config["endpoints"]["bot"]["price"] = {"input_per_mtok": 1, "output_per_mtok": 2}
    site.cases = [{**case, "tags": ["even" if n % 2 == 0 else "odd"]} for n, case in enumerate(site.cases)]

    async def happen():
        clock = Clock(datetime.now(UTC) - timedelta(hours=1))
        async with bench(site, clock) as walk:
            await walk.run(clock, 2)

    asyncio.run(happen())


@pytest.mark.usefixtures("rounds")
def test_status_says_how_fast_and_how_dear_the_last_day_was(plumbline):
    said = plumbline("status").out
    line = said[said.index("latency: median") :].splitlines()[2]
    assert line.split()[:2] == ["bot", "110"]
    assert "ms (" in line
    assert "$" in line


def test_without_requests_status_has_no_empty_table(plumbline):
    assert "latency: median" not in plumbline("status").out


@pytest.mark.usefixtures("rounds")
def test_speed_shows_every_measure_with_n_and_intervals(plumbline):
    said = plumbline("status", "--speed").out
    assert "110 requests: 110 answered, 0 failed" in said
    for word in ("latency", "time to first token", "cost", "median", "p99", "std"):
        assert word in said
    assert "at least" in said  # 110 requests cannot bound a 99th percentile


@pytest.mark.usefixtures("rounds")
def test_speed_is_told_apart_and_narrowed(plumbline):
    def groups(*options):
        return [
            (row["group"], row["requests"])
            for row in plumbline("status", "--speed", "-o", "json", *options).json["rows"]
        ]

    assert groups("--by", "probe") == [("quality", 110)]
    tags = dict(groups("--by", "tag"))
    assert set(tags) == {"even", "odd"}
    assert sum(tags.values()) == 110
    assert groups("--tag", "odd") == [(None, tags["odd"])]
    assert sum(count for _, count in groups("--by", "round")) == 110
    assert groups("bot", "--since", "2h") == [(None, 110)]
    assert groups("--since", "1m") == []
    assert groups("--from", "2020-01-01", "--to", "2020-01-02") == []
    assert "no request that fits" in plumbline("status", "--speed", "--since", "1m").out
    assert "bot / quality, scheduled round of" in plumbline("status", "--speed", "--by", "round").out


@pytest.mark.usefixtures("rounds")
@pytest.mark.parametrize(
    ("options", "cure"),
    [
        (["--speed", "--since", "yesterday"], "90s, 15m"),
        (["--speed", "--to", "2026-01-01"], "needs from"),
        (["--speed", "--tag", "evn"], "did you mean 'even'?"),
        (["--speed", "bto"], "did you mean 'bot'?"),
        (["--since", "24h"], "add --speed"),
        (["bot"], "add --speed"),
    ],
)
def test_what_cannot_be_answered_is_a_usage_error_with_its_cure(plumbline, options, cure):
    ended = plumbline("status", *options)
    assert (ended.code, ended.out) == (2, "")
    assert cure in " ".join(ended.err.split())
