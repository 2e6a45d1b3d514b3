"""The table of routes, and what every answer carries."""

import gzip

import pytest
from aiohttp import ClientSession, web

from monitor.app import Check
from monitor.config.problem import ConfigInvalid, Problem
from monitor.gauges import Gauges
from monitor.store.access import SCOPES
from monitor.store.errors import StoreUnavailable
from monitor.web.access import OPEN, Guard
from monitor.web.app import ROUTES, build
from tests.monitor.web.served import Daemon, Port
from tests.site import Bench


def _built(it: Bench) -> web.Application:
    world = it.runtime.world
    daemon = Daemon(world=world, store=it.store, runtime=it.runtime)
    guard = Guard(it.store, world.clock, lambda: it.runtime.config.web, key=b"k" * 32)
    gauges = Gauges(it.store, it.runtime, daemon.channels, clock=world.clock, metrics=world.metrics)
    return build(daemon, guard, gauges)


def test_every_route_has_a_scope_in_the_table(it: Bench) -> None:
    table = {(method, entry.path) for entry in ROUTES for method in entry.methods}
    served = {
        (route.method, route.resource.canonical)
        for route in _built(it).router.routes()
        if route.resource is not None
    }
    assert served == table
    assert {entry.scope for entry in ROUTES} <= {*SCOPES, OPEN}
    assert {entry.path for entry in ROUTES if entry.scope == OPEN} == {
        "/-/healthy",
        "/-/ready",
        "/login",
        "/logout",
        "/static/{name}",
    }


async def test_a_route_that_is_not_in_the_table_is_refused(it: Bench) -> None:
    async def stray(_request: web.Request) -> web.Response:
        return web.Response(text="a secret")

    app = _built(it)
    app.router.add_get("/stray", stray)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{site.port}/stray") as answer:
            assert answer.status == 403
            assert "secret" not in await answer.text()
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/static/../app.py", 404),
        ("GET", "/static/nothing.css", 404),
        ("DELETE", "/", 405),
        ("GET", "/-/reload", 405),
        ("PUT", "/-/reload", 200),
        ("HEAD", "/-/healthy", 200),
        ("HEAD", "/-/ready", 200),
        ("GET", "/metrics", 200),
        ("GET", "/static/refresh.js", 200),
    ],
)
async def test_every_answer_carries_the_headers_that_keep_a_browser_safe(
    port: Port, method: str, path: str, status: int
) -> None:
    found, _, headers = await port.ask(method, path)
    assert found == status
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Server"] == "plumbline"
    assert headers["Cache-Control"] == ("max-age=300" if path.startswith("/static/r") else "no-store")


async def test_readiness_is_text_or_json_and_503_when_something_is_missing(port: Port) -> None:
    assert (await port.get("/-/ready"))[:2] == (200, "ok   store\n")
    port.daemon.checks = [Check(name="store", ok=True), Check(name="draining", ok=False, why="stopping")]
    assert (await port.get("/-/ready"))[:2] == (503, "ok   store\nFAIL draining: stopping\n")
    status, text, headers = await port.get("/-/ready", Accept="application/json")
    assert status == 503
    assert headers["Content-Type"].startswith("application/json")
    assert '{"name":"draining","ok":false,"why":"stopping"}' in text
    assert (await port.get("/-/healthy"))[:2] == (200, "ok\n")


def _invalid() -> list[str]:
    problem = Problem(file="plumbline.yaml", line=3, key="probes", what="is missing", cure="add one")
    raise ConfigInvalid([problem])


def _away() -> list[str]:
    raise StoreUnavailable("the store does not answer")


def _bug() -> list[str]:
    raise RuntimeError("plb_secret")


async def test_a_reload_says_what_changed_or_what_is_wrong(
    port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await port.ask("POST", "/-/reload"))[:2] == (200, "nothing changed\n")
    port.daemon.reloads = lambda: ["bot: timeout changed from 5.0 to 6.0"]
    assert (await port.ask("POST", "/-/reload"))[:2] == (200, "bot: timeout changed from 5.0 to 6.0\n")
    port.daemon.reloads = _invalid
    status, text, _ = await port.ask("POST", "/-/reload")
    assert status == 400
    assert text == "plumbline.yaml:3: probes: is missing; add one\nthe config that was running stays\n"
    port.daemon.reloads = _away
    assert (await port.ask("POST", "/-/reload"))[0] == 503
    port.daemon.reloads = _bug
    status, text, headers = await port.ask("POST", "/-/reload")
    assert (status, "secret" in text) == (500, False)
    assert "Content-Security-Policy" in headers
    assert "this is a bug" in caplog.text


async def test_metrics_speak_prometheus_or_openmetrics_packed_or_not(port: Port) -> None:
    _, plain, headers = await port.get("/metrics", Accept_Encoding="identity")
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "Content-Encoding" not in headers
    assert "# TYPE plumbline_watchdog gauge" in plain
    _, text, headers = await port.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert headers["Content-Encoding"] == "gzip"
    assert text.endswith("# EOF\n")
    assert len(gzip.compress(text.encode())) < len(text)
