"""`plumbline run`: signals, the log, and the daemon between them."""

import asyncio
import logging
import os
import signal
from functools import partial
from pathlib import Path

from monitor import logs, memory
from monitor.alive import Systemd
from monitor.app import App
from monitor.cli.opening import read_config, world
from monitor.config.load import Loaded
from monitor.config.problem import ConfigInvalid
from monitor.store.errors import StoreError
from rotation import CaseFileInvalid

log = logging.getLogger("plumbline")


def run(path: Path, *, migrate: bool, form: logs.Form) -> None:
    """Runs the daemon until SIGTERM or SIGINT.

    Raises:
        ConfigInvalid: Carries every problem.
        CaseFileInvalid: The same for case files.
        StoreError: See its tree.
        AccessError: The port cannot be opened.
    """
    logs.set_up(form)
    asyncio.run(_serve(path, read_config(path), migrate))


async def _serve(path: Path, loaded: Loaded, migrate: bool) -> None:
    app = App(world(), loaded, reload=partial(read_config, path), migrate=migrate)
    systemd = Systemd(os.environ)
    reloads: set[asyncio.Task[None]] = set()
    asked_to_stop = False

    def stop() -> None:
        nonlocal asked_to_stop
        if asked_to_stop:
            os._exit(128 + signal.SIGINT)  # whoever asks twice will not wait; the store bears it
        asked_to_stop = True
        log.info("stopping; a second Ctrl-C ends at once")
        app.stop()

    def reload() -> None:
        task = asyncio.create_task(_reload(app, systemd), name="reload")
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGTERM, app.stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    feeding = asyncio.create_task(systemd.feed(), name="watchdog")  # also while it drains
    try:
        async with app:
            memory.settle()
            systemd.ready()
            await app.finished()
            systemd.stopping()
    finally:
        feeding.cancel()


async def _reload(app: App, systemd: Systemd) -> None:
    """Takes the file over again, or says why not; nothing in it can end the daemon."""
    systemd.reloading()
    try:
        await app.reload()
        memory.settle()
    except (ConfigInvalid, CaseFileInvalid) as error:
        log.error("reload refused, the old config stays:\n%s", error)
    except StoreError as error:
        log.error("reload refused, the old config stays: %s", error)
    except Exception:
        log.exception("reload failed, the old config stays; this is a bug")
    finally:
        systemd.ready()
