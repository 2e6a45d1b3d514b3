"""What another site may make a browser do: nothing. Held for every route that changes something."""

import pytest

from monitor.web.app import ROUTES
from monitor.web.origin import HARMLESS
from tests.conftest import Clock
from tests.monitor.web.served import Browser, Port, served
from tests.site import Site, bench

CHANGING = [(method, entry.path) for entry in ROUTES for method in entry.methods if method not in HARMLESS]
EVIL = "https://evil.example"


def test_the_routes_that_change_something_are_known() -> None:
    assert {("POST", "/-/reload"), ("POST", "/login"), ("POST", "/logout")} <= set(CHANGING)


@pytest.fixture
async def browser(port: Port) -> Browser:
    """Somebody who may do everything, logged in."""
    made = Browser(port)
    await made.log_in(await port.token("admin", name="root"))
    assert made.cookie
    return made


@pytest.mark.parametrize(("method", "path"), CHANGING)
async def test_a_request_by_cookie_needs_our_origin_and_the_session_s_own_form(
    browser: Browser, method: str, path: str
) -> None:
    form = await browser.form()
    other = Browser(browser.port)
    await other.log_in(await browser.port.token("admin", name="other"))
    right = {"csrf": form}

    async def sent(fields: dict[str, str], **headers: str) -> int:
        cookie = browser.cookie
        status, _, _ = await browser.send(path, fields, method, **headers)
        browser.cookie = cookie
        return int(status)

    assert await sent({}) == 403
    assert await sent({"csrf": ""}) == 403
    assert await sent({"csrf": form[:-1]}) == 403
    assert await sent({"csrf": await other.form()}) == 403
    assert await sent({}, X_CSRF_Token="\u00e4") == 403
    assert await sent(right, Origin=EVIL) == 403
    assert await sent(right, Origin="null") == 403
    assert await sent(right, Sec_Fetch_Site="cross-site") == 403
    assert await sent(right, Host="evil.example", Origin="http://evil.example") == 403
    done = await sent(right)
    assert done in (200, 303, 400)  # the login asks for a token, which is not given here
    assert await sent({}, X_CSRF_Token=form) == done
    assert await sent(right, Origin="null", Sec_Fetch_Site="same-origin") == done


@pytest.mark.parametrize(("method", "path"), CHANGING)
async def test_a_request_that_does_not_say_where_it_comes_from_cannot_use_the_cookie(
    browser: Browser, method: str, path: str
) -> None:
    data = {"csrf": await browser.form()}
    status, text, _ = await browser.port.ask(method, path, data=data, Cookie=browser.cookie)
    assert (status, "Authorization: Bearer" in text) == (403, True)


@pytest.mark.parametrize(("method", "path"), CHANGING)
async def test_a_token_in_the_header_needs_neither(port: Port, method: str, path: str) -> None:
    token = await port.token("admin")
    assert (await port.ask(method, path, token))[0] in (200, 303, 400)
    assert (await port.ask(method, path, token, Origin=EVIL))[0] in (200, 303, 400)


async def test_another_site_cannot_log_a_browser_in(port: Port) -> None:
    token, browser = await port.token("read"), Browser(port)
    for origin in (EVIL, "null", f"https://127.0.0.1:{port.number}", "http://127.0.0.1"):
        status, _, headers = await browser.send("/login", {"token": token}, Origin=origin)
        assert (status, "Set-Cookie" in headers) == (403, False)
    assert (await port.ask("POST", "/login", data={"token": token}))[0] == 403


async def test_behind_a_proxy_the_address_that_people_use_is_ours(site: Site, clock: Clock) -> None:
    site.config["web"] |= {"external_url": "https://plumbline.example.org/watch"}
    async with bench(site, clock) as it, served(it) as port:
        browser = Browser(port)
        fields = {"token": await port.token("read")}
        outside = "https://plumbline.example.org"
        assert (await browser.send("/login", fields, Origin=outside))[0] == 303
        assert (await browser.send("/login", fields, Origin=outside.replace("https", "http")))[0] == 403


async def test_a_page_that_only_shows_needs_no_form(browser: Browser) -> None:
    assert (await browser.open("/", Origin=EVIL))[0] == 200
