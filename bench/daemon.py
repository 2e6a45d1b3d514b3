"""The whole daemon as a process, started with `plumbline run` as a user would."""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.processes import ROOT, ended

_RUN = "from monitor.cli import main; main()"
_PATIENCE = 60.0


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_site(folder: Path, config: Mapping[str, Any], cases: Sequence[Mapping[str, Any]]) -> int:
    """Puts a config and its cases on disk; gives the port that the daemon will listen on."""
    port = free_port()
    whole = {"store": f"sqlite:///{folder}/plumbline.db", "web": {"listen": f"127.0.0.1:{port}"}, **config}
    (folder / "plumbline.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
    (folder / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    return port


@dataclass(frozen=True)
class Daemon:
    """A daemon that is ready, and how many seconds that took from the start of its process."""

    process: subprocess.Popen[bytes]
    took: float


@contextmanager
def running(folder: Path, port: int) -> Iterator[Daemon]:
    """A daemon on the site in `folder` while the block runs."""
    with (folder / "daemon.log").open("ab") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", _RUN, "run", "-c", str(folder / "plumbline.yaml")],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
        try:
            while not _ready(port):
                if process.poll() is not None or time.monotonic() - began > _PATIENCE:
                    raise RuntimeError(f"no daemon: {(folder / 'daemon.log').read_text()[-2000:]}")
                time.sleep(0.005)
            yield Daemon(process, time.monotonic() - began)
        finally:
            ended(process)


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == 200
    return False
