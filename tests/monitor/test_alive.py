"""Heartbeats against a real receiver, and systemd's protocol against a real socket."""

import asyncio
import logging
import socket
import uuid
from contextlib import asynccontextmanager

import pytest

from monitor.alive import Systemd, below, run
from monitor.app import Check
from monitor.config.service import Heartbeat
from tests.fakes.hook import FakeHook

KEY = "/hook-key-1f3a"
WELL = [Check(name="store", ok=True, why="")]
ILL = [*WELL, Check(name="schema", ok=False, why="run `plumbline db upgrade`")]


@pytest.fixture
async def hook():
    async with FakeHook() as server:
        yield server


class Beats:
    """The loop, one beat at a time: it waits where it would sleep."""

    def __init__(self, url):
        self.wanted = self.to(url)
        self.checks = WELL
        self.breaks = False
        self.slept = []
        self._go = asyncio.Semaphore(0)
        self._rests = asyncio.Semaphore(0)

    @staticmethod
    def to(url):
        return None if url is None else Heartbeat(url=url)

    async def ready(self):
        if self.breaks:
            raise KeyError
        return self.checks

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self._rests.release()
        await self._go.acquire()

    async def rest(self):
        """Waits until the beat that is under way is over."""
        await self._rests.acquire()

    async def next(self):
        """Lets one more beat happen."""
        self._go.release()
        await self.rest()


@asynccontextmanager
async def beating(url):
    beats = Beats(url)
    task = asyncio.create_task(run(lambda: beats.wanted, beats.ready, sleep=beats.sleep))
    try:
        await beats.rest()
        yield beats
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def asked(hook):
    return [(call.method, call.path) for call in hook.calls]


async def test_a_start_is_told_once_and_then_every_beat(hook):
    async with beating(hook.url) as beats:
        await beats.next()
        assert asked(hook) == [("GET", f"{KEY}/start"), ("GET", KEY), ("GET", KEY)]
        assert all(0 < seconds <= 60 for seconds in beats.slept)


async def test_a_failed_self_check_is_told_with_its_reason(hook):
    async with beating(hook.url) as beats:
        beats.checks = ILL
        await beats.next()
        beats.checks = WELL
        await beats.next()
    fail, well = hook.calls[-2:]
    assert (fail.method, fail.path, fail.raw) == (
        "POST",
        f"{KEY}/fail",
        b"schema: run `plumbline db upgrade`",
    )
    assert well.path == KEY


async def test_a_self_check_that_breaks_is_a_failed_one(hook):
    async with beating(hook.url) as beats:
        beats.breaks = True
        await beats.next()
    assert hook.calls[-1].raw == b"the self check failed with KeyError"


async def test_a_reload_may_bring_take_and_move_the_heartbeat(hook):
    async with beating(None) as beats:
        assert hook.calls == []
        beats.wanted = beats.to(f"{hook.url}/a")
        await beats.next()
        beats.wanted = beats.to(f"{hook.url}/b?name=x")
        await beats.next()
        beats.wanted = None
        await beats.next()
    paths = [path.removeprefix(KEY) for _, path in asked(hook)]
    assert paths == ["/a/start", "/a", "/b/start?name=x", "/b?name=x"]


async def test_silence_is_logged_when_it_begins_and_when_it_ends_without_the_address(hook, caplog):
    caplog.set_level(logging.INFO, "plumbline")
    async with beating(hook.url) as beats:
        hook.fail_always(404)
        await beats.next()
        hook.fail_always("reset")
        await beats.next()
        hook.fail_always(None)
        await beats.next()
        await beats.next()
    said = [record.getMessage() for record in caplog.records if record.name == "plumbline.alive"]
    assert said == [
        "the heartbeat is not heard: HTTP 404; check alerts.heartbeat.url",
        "the heartbeat is heard again",
    ]


async def test_a_heartbeat_is_not_sent_after_a_redirect(hook):
    async with beating(hook.url) as beats:
        hook.fail_next(302, Location="/elsewhere")
        await beats.next()
    assert asked(hook)[-1] == ("GET", KEY)


async def test_where_nothing_listens_it_goes_on(hook):
    url = hook.url
    await hook.__aexit__()
    async with beating(url) as beats:
        await beats.next()
        assert len(beats.slept) == 2


def test_words_are_added_to_the_path_and_the_query_stays():
    assert below("https://hc.example.org/abc", "start") == "https://hc.example.org/abc/start"
    assert below("https://kuma.example.org/push/k?status=up", "fail") == (
        "https://kuma.example.org/push/k/fail?status=up"
    )


def test_the_address_is_a_secret():
    assert "hook-key" not in repr(Heartbeat(url="https://hc.example.org/hook-key"))


@pytest.fixture(params=["path", "abstract"])
def supervisor(request, tmp_path):
    """A socket as systemd's, and what it puts into the environment."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@plumbline-{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        listening.setblocking(False)
        yield listening, {"NOTIFY_SOCKET": name}


def test_systemd_hears_of_start_reload_and_stop(supervisor):
    listening, environ = supervisor
    systemd = Systemd(environ)
    systemd.ready()
    systemd.reloading()
    systemd.stopping()
    assert listening.recv(100) == b"READY=1"
    first, second = listening.recv(100).decode().split("\n")
    assert first == "RELOADING=1"
    assert second.removeprefix("MONOTONIC_USEC=").isdigit()
    assert listening.recv(100) == b"STOPPING=1"


async def fed(environ, times, **more):
    """The pauses between feedings, the loop stopping after so many."""
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == times:
            raise asyncio.CancelledError

    task = asyncio.create_task(Systemd(environ, **more).feed(sleep=sleep))
    await asyncio.wait([task])
    return pauses


async def test_the_watchdog_is_fed_at_half_its_time(supervisor):
    listening, environ = supervisor
    assert await fed({**environ, "WATCHDOG_USEC": "30000000"}, 2) == [15.0, 15.0]
    assert [listening.recv(100) for _ in range(2)] == [b"WATCHDOG=1"] * 2


@pytest.mark.parametrize(
    "more", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "8"}]
)
async def test_no_watchdog_of_ours_is_not_fed(supervisor, more):
    listening, environ = supervisor
    assert await fed({**environ, **more}, 1, pid=7) == []
    with pytest.raises(BlockingIOError):
        listening.recv(100)


def test_without_systemd_nothing_is_said(caplog):
    Systemd({}).ready()
    Systemd({"NOTIFY_SOCKET": "vsock:2:1234"}).ready()
    assert caplog.text == ""


def test_a_systemd_that_does_not_hear_is_told_once(tmp_path, caplog):
    systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    systemd.ready()
    systemd.stopping()
    assert [record.getMessage() for record in caplog.records] == [
        "systemd does not hear us: No such file or directory"
    ]
