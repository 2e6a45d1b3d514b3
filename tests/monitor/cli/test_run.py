"""`plumbline run` as a process: signals, and starts that cannot be."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest


@contextmanager
def started(site, *more):
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor", "run", "-c", str(site.path), *more],
        stderr=subprocess.PIPE,
        text=True,
        cwd=site.folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process, pattern):
    for line in process.stderr:
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"it ended without {pattern!r}")


def test_a_reload_that_is_wrong_is_refused_a_right_one_taken_and_sigterm_drains(site):
    with started(site) as process:
        read_until(process, r"ready on http://127\.0\.0\.1:\d+")
        text = site.path.read_text()
        site.path.write_text(text.replace("every:", "evry:"))
        process.send_signal(signal.SIGHUP)
        read_until(process, "reload refused, the old config stays")
        read_until(process, r"probes\.quality\.evry: .*did you mean 'every'\?")
        site.path.write_text(text.replace("15m", "20m"))
        process.send_signal(signal.SIGHUP)
        read_until(process, "config reloaded")
        process.terminate()
        assert process.wait(timeout=30) == 0


def test_ctrl_c_ends_with_0_and_the_log_may_be_json(site):
    with started(site, "--log-format", "json") as process:
        read_until(process, r'^\{"at": .*"message": "plumbline .* is ready')
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_a_second_daemon_on_the_same_file_is_told_who_runs(site):
    with started(site) as first:
        read_until(first, "is ready")
        with started(site) as second:
            assert second.wait(timeout=30) == 4
            assert f"another plumbline (pid {first.pid}) runs on" in second.stderr.read()


def test_a_taken_port_is_one_line(plumbline, site):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        site.config["web"] = {"listen": f"127.0.0.1:{taken.getsockname()[1]}"}
        site.write()
        ended = plumbline("run")
    assert ended.code == 4
    assert "web.listen" in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("host", ["0.0.0.0"])
def test_a_port_that_others_reach_needs_a_token(plumbline, site, host):
    site.config["web"] = {"listen": f"{host}:0"}
    site.write()
    ended = plumbline("run")
    assert (ended.code, "plumbline token create" in ended.err) == (3, True)


def test_a_config_that_is_wrong_does_not_start(plumbline, site):
    site.path.write_text(site.path.read_text().replace("every:", "evry:"))
    ended = plumbline("run")
    assert (ended.code, "probes.quality.evry" in ended.err) == (3, True)


def test_an_old_schema_names_the_command(command, site, postgres_url):
    site.config["store"] = postgres_url
    site.write()
    assert command("db", "check", "-c", site.path).code == 0


def test_ctrl_c_stops_a_capture_which_goes_on_later(plumbline, site, fake):
    enough = threading.Event()

    async def count(asked):
        if asked.n >= 12:
            enough.set()

    fake.behave(latency=0.2)
    fake.after_answer = count
    site.config["endpoints"]["bot"]["limits"] = {"concurrency": 4}
    site.write()
    arguments = ["baseline", "capture", "quality", "--yes", "-c", str(site.path)]
    with subprocess.Popen(
        [sys.executable, "-m", "monitor", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert enough.wait(30)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "stopped; " in out
    assert "run the same command again" in out
    fake.behave(latency=0.0)
    again = plumbline("baseline", "capture", "quality", "--yes")
    assert again.code == 0
    assert "going on with version 1" in again.out
    assert fake.answered == 100  # what was paid for is not asked again
