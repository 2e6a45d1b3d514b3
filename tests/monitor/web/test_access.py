"""Who may do what on the port."""

from pathlib import Path

import pytest
from sqlalchemy import select

from monitor.store import access
from monitor.store.tables import audits, tokens
from monitor.web.access import CannotListen, TokensMissing
from monitor.web.origin import is_loopback
from tests.conftest import Clock
from tests.monitor.web.served import Port, served
from tests.site import Bench, Site, bench


async def test_on_loopback_without_tokens_nobody_is_asked_for_one(port: Port) -> None:
    assert [(await port.get(path))[0] for path in ("/", "/metrics", "/api/v1/status")] == [200] * 3
    assert (await port.ask("POST", "/-/reload"))[0] == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:9", 200),
        ("plumbline.example.org", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost@evil.example", 403),
        ("[bad", 403),
    ],
)
async def test_a_foreign_name_for_this_machine_is_refused(
    site: Site, clock: Clock, host: str, status: int
) -> None:
    site.config["web"]["external_url"] = "https://plumbline.example.org"
    async with bench(site, clock) as it, served(it) as port:
        assert (await port.get("/", Host=host))[0] == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:1", 200), ("https://evil.example", 403), ("null", 403), ("http://[bad", 403)],
)
async def test_a_page_of_another_site_may_not_change_anything(port: Port, origin: str, status: int) -> None:
    found = await port.ask("POST", "/-/reload", Host="localhost:1", Origin=origin)
    assert found[0] == status


async def test_once_a_token_exists_it_is_needed_on_loopback_too(port: Port) -> None:
    token = await port.token("read")
    status, _, headers = await port.get("/")
    assert status == 401
    assert headers["WWW-Authenticate"].startswith("Bearer")
    assert (await port.get("/", token))[0] == 200
    assert (await port.get("/", "plb_wrong"))[0] == 401
    assert (await port.get("/", Authorization=f"Basic {token}"))[0] == 401


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("read", "GET", "/metrics", 200),
        ("read", "POST", "/-/reload", 403),
        ("ingest", "GET", "/", 403),
        ("operate", "GET", "/api/v1/status", 403),
        ("admin", "POST", "/-/reload", 200),
        ("admin", "GET", "/", 200),
    ],
)
async def test_a_token_opens_what_its_scopes_say(
    port: Port, scope: str, method: str, path: str, status: int
) -> None:
    token = await port.token(scope)
    found = await port.ask(method, path, token)
    assert found[0] == status


async def test_health_is_open_and_metrics_are_where_the_config_says_so(site: Site, clock: Clock) -> None:
    site.config["web"]["metrics"] = "open"
    async with bench(site, clock) as it, served(it) as port:
        await port.token("read")
        paths = ("/-/healthy", "/-/ready", "/metrics", "/static/plumbline.css", "/")
        assert [(await port.get(path))[0] for path in paths] == [200, 200, 200, 200, 401]


async def test_a_new_or_revoked_token_is_noticed_within_five_seconds(port: Port, clock: Clock) -> None:
    first, second = await port.token("read", name="first"), await port.token("read", name="second")
    assert (await port.get("/", first))[0] == 200
    gone = await access.revoke(port.daemon.store, "first", clock())
    assert [token.name for token in gone] == ["first"]
    clock.advance(seconds=5)
    assert (await port.get("/", first))[0] == 401
    assert (await port.get("/", second))[0] == 200


async def test_when_a_token_was_used_is_noted_at_most_once_a_minute(port: Port, clock: Clock) -> None:
    async def noted() -> object:
        async with port.daemon.store.read() as connection:
            (token,) = await access.usable(connection)
        return token.last_used

    token = await port.token("read")
    await port.get("/", token)
    first = await noted()
    assert first is not None
    clock.advance(seconds=50)
    await port.get("/", token)
    assert await noted() == first
    clock.advance(seconds=20)
    await port.get("/", token)
    assert await noted() != first


async def test_known_tokens_still_open_metrics_while_the_store_is_away(
    port: Port, clock: Clock, tmp_path: Path
) -> None:
    token = await port.token("read")
    assert (await port.get("/metrics", token))[0] == 200
    await port.daemon.store.close()
    (tmp_path / "plumbline.db").rename(tmp_path / "away.db")
    (tmp_path / "plumbline.db").mkdir()
    clock.advance(minutes=2)
    status, text, _ = await port.get("/metrics", token)
    assert status == 200
    assert "plumbline_store_up 0.0" in text
    assert (await port.get("/metrics"))[0] == 401
    assert (await port.get("/", token))[0] == 503


async def test_off_loopback_nothing_starts_without_a_token(site: Site, clock: Clock) -> None:
    site.config["web"]["listen"] = "0.0.0.0:0"
    async with bench(site, clock) as it:
        with pytest.raises(TokensMissing, match="plumbline token create NAME --scope read"):
            await _open(it)
        plain = await access.create_token(it.store, "ci", ["read"], clock(), "tok_1")
        async with served(it) as port:
            assert (await port.get("/"))[0] == 401
            assert (await port.get("/", plain, Host="anything.example"))[0] == 200
            await access.revoke(it.store, "tok_1", clock())
            clock.advance(seconds=5)
            assert (await port.get("/", Host="localhost"))[0] == 401


async def test_a_taken_port_is_named(port: Port, it: Bench) -> None:
    it.site.config["web"]["listen"] = f"127.0.0.1:{port.number}"
    await it.reload()
    with pytest.raises(CannotListen, match=r"cannot listen on 127\.0\.0\.1:\d+ .*web\.listen"):
        await _open(it)


async def _open(it: Bench) -> None:
    async with served(it):
        pass


async def test_the_store_keeps_no_token_that_could_be_used(port: Port) -> None:
    plain = await port.token("admin", "read", "read", name="ci")
    assert plain.startswith("plb_")
    async with port.daemon.store.read() as connection:
        row = (await connection.execute(select(tokens))).one()
        trail = (await connection.execute(select(audits))).one()
        (known,) = await access.listed(connection)
    assert plain[4:] not in repr(row) + repr(trail)
    assert len(row.hash) == 64
    assert known.scopes == ("read", "admin")
    assert (trail.action, trail.object) == ("token create", "ci")


@pytest.mark.parametrize(("name", "scopes"), [("ci", ["reed"]), ("ci", []), (" ", ["read"])])
async def test_a_token_needs_a_name_and_scopes_that_exist(
    it: Bench, clock: Clock, name: str, scopes: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"known are: read, ingest|needs a name"):
        await access.create_token(it.store, name, scopes, clock(), "tok_1")


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("plumbline", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, local: bool) -> None:
    assert is_loopback(host) is local
