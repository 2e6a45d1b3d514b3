"""A person trades a token for a session, and ends it again."""

from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from monitor.store import access, schema
from monitor.store.engine import Store
from tests.conftest import START, Clock
from tests.monitor.web.served import Browser, Port, served
from tests.site import Bench, Site, bench


async def test_a_person_logs_in_looks_and_logs_out(port: Port) -> None:
    token, browser = await port.token("read", name="ann"), Browser(port)
    status, _, headers = await browser.open("/?days=7")
    assert (status, headers["Location"]) == (303, "login?next=/?days%3D7")
    status, page, _ = await browser.open("/login?next=/?days=7")
    assert (status, 'type="password"' in page, 'value="/?days=7"' in page) == (200, True, True)
    assert "Log out" not in page
    status, _, headers = await browser.log_in(token, "/?days=7")
    assert (status, headers["Location"]) == (303, "./?days=7")
    status, page, _ = await browser.open("/")
    assert (status, "<span>ann</span>" in page, "Log out" in page) == (200, True, True)
    status, _, headers = await browser.send("/logout", {"csrf": await browser.form()})
    assert (status, headers["Location"], browser.cookie) == (303, "./login", "")
    assert (await browser.open("/"))[0] == 303


async def test_the_cookie_is_for_this_host_only_and_not_for_scripts(port: Port) -> None:
    token = await port.token("read", name="ann")
    _, _, headers = await Browser(port).log_in(token)
    (name, morsel), *_ = SimpleCookie(headers["Set-Cookie"]).items()
    assert name == "plumbline"
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "Strict", "/")
    assert (morsel["domain"], morsel["secure"], morsel["max-age"]) == ("", "", str(12 * 3600))
    assert token not in headers["Set-Cookie"]


async def test_where_people_come_over_tls_the_cookie_travels_over_tls_only(site: Site, clock: Clock) -> None:
    site.config["web"] |= {"external_url": "https://plumbline.example.org", "session": "30m"}
    async with bench(site, clock) as it, served(it) as port:
        browser, token = Browser(port), await port.token("read")
        fields = {"token": token}
        _, _, headers = await browser.send("/login", fields, Origin="https://plumbline.example.org")
        (name, morsel), *_ = SimpleCookie(headers["Set-Cookie"]).items()
        assert (name, morsel["secure"], morsel["max-age"]) == ("__Host-plumbline", True, "1800")
        assert (await browser.open("/"))[0] == 200
        value = browser.cookie.partition("=")[2]
        assert (await port.get("/", Cookie=f"plumbline={value}"))[0] == 401


async def test_who_comes_in_the_clear_where_the_cookie_needs_tls_is_told_the_address(
    site: Site, clock: Clock
) -> None:
    site.config["web"] |= {"external_url": "https://plumbline.example.org", "listen": "0.0.0.0:0"}
    async with bench(site, clock) as it:
        token = await access.create_token(it.store, "ann", ["read"], clock(), "tok_1")
        async with served(it) as port:
            clear = {"Host": "box:8484", "Origin": "http://box:8484"}
            status, page, headers = await Browser(port).send("/login", {"token": token}, **clear)
            assert (status, "Use https://plumbline.example.org" in page) == (400, True)
            assert "Set-Cookie" not in headers


async def test_a_program_is_told_what_it_lacks_and_not_sent_to_a_page(port: Port) -> None:
    await port.token("read")
    for path in ("/", "/metrics", "/api/v1/status"):
        assert (await port.get(path, Accept="*/*"))[0] == 401
    assert (await port.get("/", "plb_wrong", Accept="text/html"))[0] == 401
    assert (await port.ask("POST", "/-/reload", Accept="text/html"))[0] == 401


async def test_a_link_from_elsewhere_is_asked_for_once_more_because_the_cookie_stayed_behind(
    port: Port,
) -> None:
    await port.token("read")
    status, page, _ = await Browser(port).open("/", Sec_Fetch_Site="cross-site")
    assert (status, '<meta http-equiv="refresh" content="0">' in page) == (200, True)
    assert (await Browser(port).open("/", Sec_Fetch_Site="same-origin"))[0] == 303


async def test_a_session_ends_when_its_time_is_over(port: Port, clock: Clock) -> None:
    browser = Browser(port)
    await browser.log_in(await port.token("read"))
    clock.advance(hours=11, minutes=59)
    assert (await browser.open("/"))[0] == 200
    clock.advance(minutes=2)
    assert (await browser.open("/"))[0] == 303


async def test_a_revoked_token_ends_its_sessions_within_five_seconds(port: Port, clock: Clock) -> None:
    browser, other = Browser(port), Browser(port)
    await browser.log_in(await port.token("read", name="ann"))
    await other.log_in(await port.token("read", name="ben"))
    await access.revoke(port.daemon.store, "ann", clock())
    clock.advance(seconds=5)
    assert (await browser.open("/"))[0] == 303
    assert (await other.open("/"))[0] == 200


async def test_a_session_may_do_what_its_token_may(port: Port) -> None:
    browser = Browser(port)
    await browser.log_in(await port.token("ingest", name="collector"))
    status, text, _ = await browser.open("/")
    assert (status, text) == (403, "this needs a token with scope read; collector has ingest\n")
    status, text, _ = await browser.open("/login")
    assert (status, "You are logged in as collector" in text) == (200, True)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"token": "plb_wrong"}, 401),
        ({"token": " "}, 400),
        ({}, 400),
        (b"token=%FF%FE&next=%00", 401),
        (b"&".join(b"a=%d" % n for n in range(1000)), 400),
        (b"x" * 70_000, 413),
    ],
)
async def test_a_wrong_form_opens_nothing(port: Port, data: dict[str, str] | bytes, status: int) -> None:
    await port.token("read")
    kind = "application/x-www-form-urlencoded"
    found = await port.ask("POST", "/login", data=data, Origin=port.address, Content_Type=kind)
    assert found[0] == status
    assert "Set-Cookie" not in found[2]


async def test_what_is_no_form_opens_nothing(port: Port) -> None:
    token = await port.token("read")
    for kind in ("application/json", "multipart/form-data", "text/plain"):
        data = f"token={token}".encode()
        found = await port.ask("POST", "/login", data=data, Origin=port.address, Content_Type=kind)
        assert (found[0], "Set-Cookie" in found[2]) == (400, False)


async def test_the_name_of_a_token_is_text_and_nothing_else(port: Port) -> None:
    browser = Browser(port)
    await browser.log_in(await port.token("read", name='<script>alert(1)</script>"'))
    for path in ("/", "/login"):
        _, page, _ = await browser.open(path)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;" in page
        assert "<script>alert" not in page


async def test_a_person_is_sent_on_to_pages_of_ours_only(port: Port) -> None:
    token, browser = await port.token("read"), Browser(port)
    _, page, _ = await browser.open('/login?next=//evil.example"><script>')
    assert 'name="next" value="/"' in page
    _, _, headers = await browser.log_in(token, "//evil.example")
    assert headers["Location"] == "./"


async def test_while_nobody_is_asked_for_a_token_there_is_nothing_to_log_in_to(port: Port) -> None:
    browser = Browser(port)
    for found in (await browser.open("/login?next=/x"), await browser.send("/login", {"next": "/x"})):
        assert (found[0], found[2]["Location"], "Set-Cookie" in found[2]) == (303, "./x", False)


async def test_logging_out_twice_is_no_mistake(port: Port) -> None:
    await port.token("read")
    assert (await Browser(port).send("/logout", {}))[0] == 303


async def test_sessions_outlive_the_daemon_and_hold_on_every_replica(it: Bench) -> None:
    async with served(it) as port:
        browser = Browser(port)
        await browser.log_in(await port.token("read"))
    async with served(it) as port:
        browser.port = port
        assert (await browser.open("/"))[0] == 200


async def test_the_key_of_sessions_is_made_once_and_is_the_store_s_own(store: Store, tmp_path: Path) -> None:
    key = await access.session_key(store)
    assert len(key) == 32
    assert await access.session_key(store) == key
    other = Store(f"sqlite:///{tmp_path}/other.db")
    try:
        await schema.prepare(other, migrate=True, now=START)
        assert await access.session_key(other) != key
    finally:
        await other.close()
