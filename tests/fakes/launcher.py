"""A process that has imported the whole daemon once, and forks a child for each start of it.

A start costs a second of imports otherwise, and the kill tests start hundreds. The child is the real daemon:
it runs `monitor.cli.main` in a session of its own, with a log file of its own. There are no threads and no
event loop here, so a fork copies nothing that is half done.

As a process: `python -m tests.fakes.launcher`. One JSON object a line goes in, `{"arguments": ["run", "-c",
FILE], "log": FILE}`, and `{"pid": 17}` comes out; when that child has ended, `{"pid": 17, "status": 0}` does.
A signal counts as a negative status. When its input ends, it kills the children that are left, and ends.
"""

import json
import os
import select
import signal
import sys
from importlib.metadata import entry_points
from typing import Any, NoReturn

#: What the tests' configs use; a child imports by itself what it needs beyond them.
_PLUGINS = frozenset({"openai", "exact", "slack", "log"})


def _import_the_daemon() -> None:
    import aiosqlite  # noqa: F401 - imported for its own sake, as all here
    import sqlalchemy.dialects.postgresql.asyncpg
    import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

    import monitor.app
    import monitor.cli.commands
    import monitor.cli.daemon  # noqa: F401

    for kind in ("clients", "scorers", "notifiers", "detectors"):
        for plugin in entry_points(group=f"plumbline.{kind}"):
            if kind == "detectors" or plugin.name in _PLUGINS:
                plugin.load()


def _say(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _be_the_daemon(arguments: list[str], log: str) -> NoReturn:
    status = 70
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for target, source in ((os.devnull, 0), (log, 1)):
            flags = os.O_RDONLY if source == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
            handle = os.open(target, flags, 0o644)
            os.dup2(handle, source)
            os.close(handle)
        os.dup2(1, 2)
        from monitor.cli import main

        main(arguments)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())  # as an interpreter would: it is part of what the log must show
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # never back into the launcher's code


def _reap(children: set[int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        children.discard(pid)
        _say(pid=pid, status=os.waitstatus_to_exitcode(status))


def main() -> None:
    """Serves until the input ends."""
    _import_the_daemon()
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler is needed for the wakeup byte to be written
    signal.set_wakeup_fd(wake)
    children: set[int] = set()
    _say(ready=True)
    waiting = b""
    try:
        while True:
            ready, _, _ = select.select([0, ended], [], [])
            if ended in ready:
                os.read(ended, 1024)
                _reap(children)
            if 0 in ready:
                more = os.read(0, 65536)
                if not more:
                    return
                *lines, waiting = (waiting + more).split(b"\n")
                for line in lines:
                    command = json.loads(line)
                    pid = os.fork()
                    if pid == 0:
                        os.close(ended)
                        os.close(wake)
                        _be_the_daemon(command["arguments"], command["log"])
                    children.add(pid)
                    _say(pid=pid)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
