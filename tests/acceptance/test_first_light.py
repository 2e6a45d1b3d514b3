"""The whole daemon over real HTTP, with nothing patched: it watches, notices, tells, and hears of the recovery."""

from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from monitor.assess import Closed
from monitor.watch import Watch
from tests.acceptance.daemons import until
from tests.fakes.llm import FakeLLM
from tests.fakes.slack import CHANNEL, TOKEN, FakeSlack
from tests.site import Site, answers, daemon


def _now() -> datetime:
    return datetime.now(UTC)


async def test_an_endpoint_that_gets_worse_is_one_incident_and_one_slack_message_that_ends_resolved(
    store_url: str, tmp_path: Path
) -> None:
    async with FakeLLM(answers=answers(), latency=0.05, latency_sigma=0.5) as llm, FakeSlack() as slack:
        site = Site(tmp_path, store_url, llm.url)
        site.config["probes"]["quality"]["every"] = "1s"
        site.config["alerts"] = {
            "channels": {
                "oncall": {"kind": "slack", "token": TOKEN, "channel": CHANNEL, "api_url": slack.url}
            }
        }
        async with daemon(site, _now) as app, aiohttp.ClientSession() as http:
            page = f"http://127.0.0.1:{app.port}"
            runs: list[str] = []
            inner = app.runtime.on_closed

            def on_closed(watch: Watch, closed: Closed) -> None:
                runs.append(closed.claim.kind)
                inner(watch, closed)

            app.runtime.on_closed = on_closed
            await until(lambda: runs.count("scheduled") >= 3, "three rounds in control")
            assert slack.posts == []
            llm.skill = 0.2
            await until(lambda: bool(slack.posts), "a message in Slack")
            (message,) = slack.posts
            assert "bot" in message.shown
            assert "score down" in message.shown
            async with http.get(f"{page}/") as answer:
                assert answer.status == 200
                assert "score down" in await answer.text()
            async with http.get(f"{page}/metrics") as answer:
                text = await answer.text()
            assert 'plumbline_verdict{endpoint="bot",measure="score",source="quality"} 2.0' in text
            assert 'plumbline_incidents_open{acknowledged="false",severity="critical"} 1.0' in text
            llm.skill = 1.0
            await until(lambda: message.text.startswith("RESOLVED"), "the message says resolved")
            await until(lambda: bool(slack.thread(message.ts)), "a reply in the thread")
        assert slack.posts == [message]
        assert "recovered after" in message.shown
        assert slack.thread(message.ts)[-1].text.startswith("RESOLVED")
