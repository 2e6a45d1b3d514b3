"""`plumbline run` under a supervisor: systemd's datagrams, and a heartbeat to somebody outside."""

import signal
import socket
import threading

import pytest

from tests.fakes.hook import FakeHook
from tests.monitor.cli.conftest import on_a_thread
from tests.monitor.cli.test_run import read_until, started


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """A socket as systemd's, which asks for a sign of life every fifth of a second."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        yield listening


@pytest.fixture
def hook():
    with on_a_thread(FakeHook()) as hook:
        yield hook


def hear(systemd, word):
    """Waits for a datagram, and says what came before it."""
    before = []
    while not (said := systemd.recv(1000).decode()).startswith(word):
        before.append(said)
    return before


def test_a_daemon_says_when_it_is_ready_lives_reloads_and_stops(site, systemd, hook):
    beat = threading.Event()
    hook.on_call = lambda call: beat.set() if call.path == "/hook-key-1f3a" else None
    site.config["alerts"] = {"heartbeat": {"url": hook.url}}
    site.write()
    with started(site) as process:
        assert set(hear(systemd, "READY=1")) <= {"WATCHDOG=1"}
        hear(systemd, "WATCHDOG=1")
        assert beat.wait(30)
        process.send_signal(signal.SIGHUP)
        hear(systemd, "RELOADING=1\nMONOTONIC_USEC=")
        hear(systemd, "READY=1")
        site.path.write_text("nonsense: true\n")
        process.send_signal(signal.SIGHUP)
        hear(systemd, "RELOADING=1")
        read_until(process, "reload refused")
        hear(systemd, "READY=1")
        process.terminate()
        hear(systemd, "STOPPING=1")
        assert process.wait(timeout=30) == 0
    assert [(call.method, call.path) for call in hook.calls] == [
        ("GET", "/hook-key-1f3a/start"),
        ("GET", "/hook-key-1f3a"),
    ]
