"""What is done through the port is written down, and attacks on it are, without filling the store."""

import pytest

from monitor.config.problem import ConfigInvalid
from monitor.store import access
from monitor.store.access import Audited
from monitor.store.engine import Store
from monitor.web.failures import MOST
from tests.conftest import Clock
from tests.monitor.web.served import Browser, Port
from tests.site import Bench


async def _trail(port: Port, limit: int = 100) -> list[Audited]:
    async with port.daemon.store.read() as connection:
        return (await access.trail(connection, limit))[::-1]


async def _lines(port: Port) -> list[tuple[str, str, str]]:
    return [(each.who, each.action, each.object) for each in await _trail(port)]


def _refuse() -> list[str]:
    raise ConfigInvalid([])


async def test_who_logs_in_reloads_and_logs_out_is_written_down(port: Port, clock: Clock) -> None:
    token, browser = await port.token("admin", name="root"), Browser(port)
    await browser.log_in(token)
    fields = {"csrf": await browser.form()}
    await browser.send("/-/reload", fields)
    await browser.send("/logout", fields)
    await port.ask("POST", "/-/reload", token)
    assert (await _lines(port))[1:] == [
        ("root", "login", "web"),
        ("root", "reload", "config"),
        ("root", "logout", "web"),
        ("root", "reload", "config"),
    ]
    (first, *_) = (await _trail(port))[1:]
    assert first.detail == {"address": "127.0.0.1", "token": "tok_1"}
    assert first.at <= clock()


async def test_a_reload_without_tokens_is_somebody_s_and_a_refused_one_is_none(port: Port) -> None:
    await port.ask("POST", "/-/reload")
    port.daemon.reloads = _refuse
    assert (await port.ask("POST", "/-/reload"))[0] == 400
    assert await _lines(port) == [("somebody on this machine", "reload", "config")]


async def test_looking_and_being_refused_for_want_of_a_scope_leave_no_line(port: Port) -> None:
    token = await port.token("read")
    await port.get("/", token)
    await port.get("/")
    await port.ask("POST", "/-/reload", token)
    assert len(await _trail(port)) == 1


@pytest.mark.parametrize("by_form", [False, True])
async def test_after_ten_wrong_tokens_an_address_waits_and_two_lines_say_so(
    port: Port, clock: Clock, by_form: bool
) -> None:
    good = await port.token("read", name="good")

    async def attempt(token: str) -> tuple[int, str | None]:
        found = await (Browser(port).log_in(token) if by_form else port.get("/api/v1/status", token))
        return found[0], found[2].get("Retry-After")

    wrong = [(await attempt(f"plb_{n}"))[0] for n in range(MOST + 5)]
    assert wrong == [401] * MOST + [429] * 5
    status, wait = await attempt("plb_again")
    assert (status, 0 < int(wait or 0) <= 60) == (429, True)
    assert (await attempt(good))[0] in (200, 303)
    lines = [line for line in await _lines(port) if line[0] == "127.0.0.1"]
    route = "/login" if by_form else "/api/v1/status"
    assert lines == [("127.0.0.1", "token refused", route), ("127.0.0.1", "address limited", route)]
    clock.advance(seconds=60)
    assert (await attempt("plb_more"))[0] == 401


async def test_the_peer_counts_and_not_what_it_says_of_itself(port: Port) -> None:
    await port.token("read")
    found = [
        (await port.get("/", "plb_x", X_Forwarded_For=f"10.0.0.{n}", Forwarded=f"for=10.0.0.{n}"))[0]
        for n in range(MOST + 1)
    ]
    assert found[-1] == 429
    assert {who for who, action, _ in await _lines(port) if action == "token refused"} == {"127.0.0.1"}


async def test_coming_without_a_token_is_no_failure(port: Port) -> None:
    await port.token("read")
    assert {(await port.get("/"))[0] for _ in range(MOST + 5)} == {401}
    cookie = "plumbline=tok_1.9999999999." + "0" * 64
    assert {(await port.get("/", Cookie=cookie))[0] for _ in range(MOST + 5)} == {401}
    assert len(await _trail(port)) == 1


async def test_no_secret_is_in_the_trail_or_in_the_log(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    token, browser = await port.token("admin", name="root"), Browser(port)
    await browser.log_in(token)
    await browser.log_in("plb_guessed")
    await port.get("/", "plb_another")
    key = (await access.session_key(port.daemon.store)).hex()
    said = repr(await _trail(port)) + caplog.text
    assert "token refused: 127.0.0.1" in caplog.text
    for secret in (token[4:], "guessed", "another", key, browser.cookie.rpartition(".")[2]):
        assert secret not in said


async def test_the_trail_is_read_newest_first(store: Store, clock: Clock) -> None:
    at = clock()
    async with store.write() as connection:
        for who in ("ann", "ben", "cem"):
            await access.record(connection, at=at, who=who, action="login", object="web", detail={"n": 1})
    async with store.read() as connection:
        found = await access.trail(connection, 2)
    assert [each.who for each in found] == ["cem", "ben"]
    assert found[0] == Audited(at=at, who="cem", action="login", object="web", why="", detail={"n": 1})


async def test_a_store_that_is_away_lets_nobody_in_unseen(port: Port, it: Bench) -> None:
    token = await port.token("read")
    await port.get("/metrics", token)
    await it.store.close()
    path = it.site.folder / "plumbline.db"
    path.rename(path.with_suffix(".away"))
    path.mkdir()
    status, _, headers = await Browser(port).log_in(token)
    assert (status, "Set-Cookie" in headers) == (503, False)
    assert (await port.get("/", "plb_wrong"))[0] == 401
