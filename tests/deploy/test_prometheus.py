"""A real Prometheus scrapes a running daemon; then every query of the dashboard and of the rules is asked."""

import asyncio
import json
import math
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from monitor.ids import new_id
from monitor.store import access
from tests.deploy.tools import DEPLOY, RULES, program
from tests.fakes.llm import FakeLLM
from tests.site import Site, answers, daemon

#: Metrics without a series while nothing is wrong: their labels are made by the first event.
ONLY_WHEN_WRONG = {
    "plumbline_notification_oldest_timestamp_seconds": "no message waits",
    "plumbline_notifications_failed_total": "no message failed",
    "plumbline_unscored_total": "every reply has a score",
    "plumbline_background_errors_total": "no task of ours failed",
}
#: For variables of the dashboard, what Grafana would write; the window is the shortest that it offers.
CHOSEN = {"endpoint": ".*", "source": ".*", "window": "5m"}


class Prometheus:
    """Its HTTP API."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def get(self, path: str, **params: str) -> Any:
        async with self._session.get(f"{self._url}/api/v1/{path}", params=params) as response:
            body = await response.json()
        assert body["status"] == "success", (params, body)
        return body["data"]

    async def has_data(self, expr: str) -> bool:
        """Whether at least one series of the answer has a number."""
        found = await self.get("query", query=expr)
        samples = (
            [found["value"]] if found["resultType"] == "scalar" else [s["value"] for s in found["result"]]
        )
        return any(math.isfinite(float(value)) for _, value in samples)


def config(port: int, token: Path) -> str:
    """deploy/prometheus/prometheus.yml, in a hurry and with this daemon as its target."""
    made = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    made["global"] = dict.fromkeys(made["global"], "1s")
    made["rule_files"] = [str(RULES / "self.yml")]
    (job,) = made["scrape_configs"]
    job["authorization"]["credentials_file"] = str(token)
    job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    return yaml.safe_dump(made)


@asynccontextmanager
async def prometheus(folder: Path, config: str) -> AsyncIterator[Prometheus]:
    (folder / "prometheus.yml").write_text(config)
    log = folder / "prometheus.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:0",
            stderr=out,
        )
    try:
        async with asyncio.timeout(20), aiohttp.ClientSession() as session:
            while not (found := re.search(r'msg="Listening on" address=(\S+)', log.read_text())):
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.05)
        async with aiohttp.ClientSession() as session:
            yield Prometheus(session, f"http://{found[1]}")
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[Prometheus, FakeLLM]]:
    """A daemon that asks every two seconds, and the Prometheus that scrapes it with a token."""
    program("prometheus")
    async with FakeLLM(answers=answers()) as llm:
        site = Site(folder, f"sqlite:///{folder}/plumbline.db", llm.url)
        site.config["endpoints"]["bot"] |= {
            "price": {"input_per_mtok": 1, "output_per_mtok": 1},
            "limits": {"usd_per_day": 50, "concurrency": 4},
        }
        site.config["probes"]["quality"] |= {"every": "2s"}
        async with daemon(site, lambda: datetime.now(UTC)) as app:
            now = datetime.now(UTC)
            id = new_id("tok", now, random.Random(1))
            token = folder / "token"
            token.write_text(
                await access.create_token(app.store, "prometheus", ["read"], now, id, who="test")
            )
            async with prometheus(folder, config(app.port, token)) as it:
                yield it, llm


def panels() -> list[str]:
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "plumbline.json").read_text(encoding="utf-8"))
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    return [re.sub(r"\$(\w+)", lambda name: CHOSEN[name[1]], expr) for expr in found]


def rules() -> list[str]:
    groups = yaml.safe_load((RULES / "self.yml").read_text(encoding="utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def metrics(expressions: list[str]) -> set[str]:
    return {name for expr in expressions for name in re.findall(r"plumbline_\w+", expr)}


async def until_data(it: Prometheus, wanted: set[str]) -> None:
    """Asks for what has not returned data yet, until nothing is left of it."""
    while wanted:
        wanted -= {text for text in wanted if await it.has_data(text)}
        await asyncio.sleep(0.2)


async def test_every_query_returns_data_from_a_running_daemon(tmp_path: Path) -> None:
    def expected(text: str) -> bool:
        return not metrics([text]) & ONLY_WHEN_WRONG.keys()

    # An alert is quiet on a healthy daemon: what it looks at must be there, and it must be valid.
    wanted = {text for text in (*panels(), *metrics(rules())) if expected(text)}
    async with watched(tmp_path) as (it, llm):
        with suppress(TimeoutError):
            async with asyncio.timeout(40):
                await until_data(it, {"plumbline_baseline_timestamp_seconds"})
                llm.skill, llm.latency = 0.2, 0.1
                await until_data(it, wanted)
        assert wanted == set()
        for expr in (*panels(), *rules()):
            await it.get("query", query=expr)
        groups = (await it.get("rules"))["groups"]
    assert [rule["health"] for group in groups for rule in group["rules"]] == ["ok"] * len(rules())
    assert "firing" not in [rule["state"] for group in groups for rule in group["rules"]]


def test_what_may_be_empty_is_a_metric_that_is_asked_for() -> None:
    assert metrics([*panels(), *rules()]) >= ONLY_WHEN_WRONG.keys()
