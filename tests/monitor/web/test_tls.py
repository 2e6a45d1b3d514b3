"""The port over TLS: the same rules, the newest certificate, and nothing older than TLS 1.2."""

import asyncio
import shutil
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from monitor.config import certificate
from monitor.web.access import CannotListen
from tests.conftest import Clock
from tests.monitor.web.served import Browser, served
from tests.site import Bench, Site, bench, daemon

CERTIFICATES = Path(__file__).parents[2] / "fakes" / "certificates"


@pytest.fixture
def over_tls(site: Site) -> Site:
    """The site, with the certificate `one` in its folder."""
    _put(site, "one")
    site.config["web"]["tls"] = {"cert": "port.pem", "key": "port.key"}
    return site


def _put(site: Site, name: str, key: str | None = None) -> None:
    shutil.copy(CERTIFICATES / f"{name}.pem", site.folder / "port.pem")
    shutil.copy(CERTIFICATES / f"{key or name}.key", site.folder / "port.key")


def _shown(name: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert((CERTIFICATES / f"{name}.pem").read_text())


async def _seen(port: int, *, at_most: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> bytes | None:
    """The certificate that a client is shown."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    trust.maximum_version = at_most
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
    try:
        shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return shown
    finally:
        writer.close()


async def test_a_person_logs_in_over_tls_and_the_rules_hold(over_tls: Site, clock: Clock) -> None:
    async with bench(over_tls, clock) as it, served(it, trusted=str(CERTIFICATES / "one.pem")) as port:
        assert (await port.get("/", Host="localhost"))[0] == 200
        assert (await port.get("/", Host="evil.example"))[0] == 403
        token, browser = await port.token("admin"), Browser(port)
        assert (await browser.send("/login", {"token": token}, Origin=f"http://127.0.0.1:{port.number}"))[
            0
        ] == 403
        assert (await browser.log_in(token))[0] == 303
        assert browser.cookie.startswith("__Host-plumbline=")
        assert (await browser.open("/"))[0] == 200
        assert (await browser.send("/-/reload", {}))[0] == 403
        assert (await browser.send("/-/reload", {"csrf": await browser.form()}))[0] == 200
        assert (await port.get("/api/v1/status", token))[0] == 200


async def test_whoever_speaks_plain_http_gets_no_answer(over_tls: Site, clock: Clock) -> None:
    async with bench(over_tls, clock) as it, served(it, trusted=str(CERTIFICATES / "one.pem")) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
        writer.write(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        with suppress(ConnectionResetError):
            answer = await reader.read()
        assert b"HTTP" not in answer
        writer.close()


async def test_what_is_older_than_tls_1_2_is_refused(over_tls: Site, clock: Clock) -> None:
    made = certificate.context(CERTIFICATES / "one.pem", CERTIFICATES / "one.key")
    assert made.minimum_version is ssl.TLSVersion.TLSv1_2
    async with bench(over_tls, clock) as it, served(it) as port:
        assert await _seen(port.number, at_most=ssl.TLSVersion.TLSv1_2) == _shown("one")


async def test_a_reload_shows_the_renewed_certificate(
    over_tls: Site, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="plumbline")
    async with daemon(over_tls, clock) as app:
        assert f"is ready on https://127.0.0.1:{app.port}" in caplog.text
        assert await _seen(app.port) == _shown("one")
        _put(over_tls, "two")
        assert await _seen(app.port) == _shown("one")
        await app.reload()
        assert await _seen(app.port) == _shown("two")


async def test_taking_the_certificate_out_waits_for_the_next_start(over_tls: Site, clock: Clock) -> None:
    async with daemon(over_tls, clock) as app:
        over_tls.config["web"].pop("tls")
        over_tls.write()
        assert "web.tls changed; this takes effect at the next start" in await app.reload()
        assert await _seen(app.port) == _shown("one")


async def test_a_pair_that_stopped_fitting_leaves_the_old_one_in_use(
    over_tls: Site, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with bench(over_tls, clock) as it, served(it) as port:
        _put(over_tls, "two", key="one")
        port.listener.renew()
        assert await _seen(port.number) == _shown("one")
        assert "the port shows the certificate that it had" in caplog.text


async def test_a_certificate_that_went_away_names_the_next_step(over_tls: Site, clock: Clock) -> None:
    async with bench(over_tls, clock) as it:
        (over_tls.folder / "port.key").unlink()
        with pytest.raises(CannotListen, match=r"web\.tls .*plumbline check-config"):
            await _open(it)


async def _open(it: Bench) -> None:
    async with served(it):
        pass
