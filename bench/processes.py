"""Child processes of a benchmark: started here, ended here by their pid."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def started(*module: str) -> Iterator[str]:
    """A Python module as a process while the block runs; gives the last word of its first line, its address."""
    process = subprocess.Popen([sys.executable, "-m", *module], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        if not words:
            raise RuntimeError(f"{module[0]} did not start")
        yield words[-1]
    finally:
        ended(process)


def ended(process: subprocess.Popen[Any]) -> None:
    """Ends a process: asked first, then made to."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def said(*module: str, timeout: float = 120.0) -> Any:
    """Runs a Python module to its end; gives the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, "-m", *module], cwd=ROOT, capture_output=True, text=True, timeout=timeout
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(module)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def post(url: str, body: Any = None) -> Any:
    """One POST of JSON to a server of ours."""
    request = urllib.request.Request(url, data=json.dumps(body or {}).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())
