"""`plumbline demo`: the daemon itself, in this process, watching a simulator in another one."""

import asyncio
import logging
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from monitor.app import App
from monitor.assess import Closed
from monitor.cli.ending import Code
from monitor.cli.opening import read_config, world
from monitor.demo.director import Director, Event
from monitor.demo.screen import Listener, Screen
from monitor.demo.stage import (
    PAGE_PORT,
    SIMULATOR_PORT,
    Remote,
    Wish,
    free_port,
    simulator,
    wish_of,
    write_config,
)
from monitor.watch import Watch


def tell() -> Code:
    """Runs the demo. A finding is a story that did not end as it should: a missed fault, or a false alarm."""
    wish = wish_of(os.environ)
    try:
        return asyncio.run(_tell(wish))
    except asyncio.CancelledError:
        return Code.OK


async def _tell(wish: Wish) -> Code:
    screen = Screen()
    _stop_on_signals(screen)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plumbline-demo-")))
        remote = None if wish.given else await stack.enter_async_context(simulator(wish))
        page = free_port(PAGE_PORT)
        path = write_config(folder, page=page, simulator=remote.url if remote else None)
        _introduce(screen, wish, remote, path, page)
        events: asyncio.Queue[Event] = asyncio.Queue()
        await stack.enter_async_context(_daemon(path, events))
        director = Director(screen, events)
        code = Code.OK if remote is None else await director.play(wish, remote)
        if remote is None:
            await director.watch()
        if not wish.leave:
            screen.say(f"The daemon goes on; look at http://127.0.0.1:{page}/, end with Ctrl-C.", "bold")
            await director.watch(rounds=False)
        return code


def _introduce(screen: Screen, wish: Wish, remote: Remote | None, path: Path, page: int) -> None:
    screen.heading("Plumbline's demo")
    if remote is None:
        screen.say("Watching the endpoint of PLUMBLINE_DEMO_URL with 20 small questions every 15 seconds.")
        screen.say("Nothing is simulated and nothing will be broken; Ctrl-C ends.")
    else:
        screen.say(f"A simulated endpoint, a process of its own, answers at {remote.url} (seed {wish.seed}).")
        screen.say("The daemon asks it 20 small questions every second, and knows nothing else about it.")
        if not remote.url.endswith(f":{SIMULATOR_PORT}"):
            screen.say(f"(Port {SIMULATOR_PORT} was taken, so another one was chosen.)")
    screen.say(f"config  {path}")
    screen.say(f"page    http://127.0.0.1:{page}/  and its numbers at /metrics")
    if page != PAGE_PORT:
        screen.say(f"        (port {PAGE_PORT} was taken by another program, so another one was chosen)")


@asynccontextmanager
async def _daemon(path: Path, events: "asyncio.Queue[Event]") -> AsyncIterator[App]:
    """The product as `run` starts it; what it logs and what its rounds come to go into `events`."""

    def heard(logger: str, line: str) -> None:
        alert = logger == "plumbline.alert"
        events.put_nowait(Event(alert=line) if alert else Event(line=line))

    listener = Listener(heard)
    logger = logging.getLogger("plumbline")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(listener)
    app = App(world(), read_config(path), reload=partial(read_config, path))
    try:
        async with app:
            before = app.runtime.on_closed

            def closed(watch: Watch, closed: Closed) -> None:
                before(watch, closed)
                events.put_nowait(Event(watch=watch, closed=closed))

            app.runtime.on_closed = closed
            yield app
    finally:
        logger.removeHandler(listener)


def _stop_on_signals(screen: Screen) -> None:
    """The first Ctrl-C ends the story in good order, a second one at once."""
    task = asyncio.current_task()
    asked_to_stop = False

    def stop() -> None:
        nonlocal asked_to_stop
        if asked_to_stop or task is None:
            os._exit(128 + signal.SIGINT)
        asked_to_stop = True
        screen.say("stopping")
        task.cancel()

    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop)
