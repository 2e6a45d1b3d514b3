"""Says that we live to whoever would notice if we did not: a heartbeat service outside, and systemd."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from monitor.config.service import Heartbeat
from monitor.web.daemon import Ready

log = logging.getLogger("plumbline.alive")

_Sleep = Callable[[float], Awaitable[None]]

_PING_SECONDS = 10.0
_CHECK_SECONDS = 10.0
#: How soon a heartbeat begins that a reload brings.
_LOOK_SECONDS = 5.0
_MOST_WHY = 2000


async def run(
    wanted: Callable[[], Heartbeat | None],
    ready: Callable[[], Awaitable[Sequence[Ready]]],
    *,
    sleep: _Sleep = asyncio.sleep,
) -> None:
    """Sends heartbeats until cancelled: `url/start` first, then `url` or, where a check fails, `url/fail`.

    Nothing waits for it, and what it cannot send is logged once, when it begins and when it is over.

    Args:
        wanted: What the config asks for now; a reload may change it.
        ready: Whether we can do our job.
        sleep: Waits for seconds.
    """
    timeout = aiohttp.ClientTimeout(total=_PING_SECONDS)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=jar, trust_env=True) as session:
        pulse = _Pulse(session)
        while True:
            heartbeat = wanted()
            began = time.monotonic()
            if heartbeat is None:
                pulse.url = ""
                await sleep(_LOOK_SECONDS)
                continue
            await pulse.beat(heartbeat.url.get_secret_value(), await _trouble(ready))
            await sleep(max(0.0, heartbeat.every.total_seconds() - (time.monotonic() - began)))


async def _trouble(ready: Callable[[], Awaitable[Sequence[Ready]]]) -> str:
    """What keeps us from our job, one line a check; empty where nothing does."""
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            checks = await ready()
    except TimeoutError:
        return f"the self check did not end within {_CHECK_SECONDS:.0f} s"
    except Exception as error:  # it is part of the answer: whoever waits for us must hear of it
        log.exception("the self check failed; this is a bug")
        return f"the self check failed with {type(error).__name__}"
    return "\n".join(f"{check.name}: {check.why}" for check in checks if not check.ok)[:_MOST_WHY]


class _Pulse:
    """Pings one address, and remembers whether it was heard. The address may hold a key: it is never told."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.url = ""
        self._session = session
        self._unheard = False

    async def beat(self, url: str, trouble: str) -> None:
        """One heartbeat; an address that is new gets a start before it."""
        if url != self.url:
            self.url = url
            await self._send("GET", below(url, "start"))
        if trouble:
            await self._send("POST", below(url, "fail"), trouble)
        else:
            await self._send("GET", url)

    async def _send(self, method: str, url: str, text: str = "") -> None:
        try:
            async with self._session.request(
                method,
                url,
                data=text.encode(errors="replace") or None,
                headers={"User-Agent": "plumbline"},
                allow_redirects=False,
            ) as answer:
                wrong = "" if 200 <= answer.status < 300 else f"HTTP {answer.status}"
        except TimeoutError:
            wrong = f"no answer within {_PING_SECONDS:.0f} s"
        except (aiohttp.ClientError, OSError) as error:
            wrong = type(error).__name__  # its text may hold the address
        if wrong and not self._unheard:
            log.warning("the heartbeat is not heard: %s; check alerts.heartbeat.url", wrong)
        if not wrong and self._unheard:
            log.info("the heartbeat is heard again")
        self._unheard = bool(wrong)


def below(url: str, word: str) -> str:
    """The address with a word more in its path; its query stays."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{word}", fragment=""))


class Systemd:
    """Tells systemd how we are, where it started us with `Type=notify`; else says nothing.

    The protocol is sd_notify(3): datagrams of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names.
    """

    def __init__(self, environ: Mapping[str, str], *, pid: int | None = None) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._interval = _half(environ, os.getpid() if pid is None else pid)
        self._unheard = False

    def ready(self) -> None:
        """We are up, or a reload is over."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """A reload begins; `ready` must follow."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """We begin to stop."""
        self._tell("STOPPING=1")

    async def feed(self, *, sleep: _Sleep = asyncio.sleep) -> None:
        """Feeds the watchdog from the event loop at half its time: a loop that stands still is noticed."""
        while self._interval is not None:
            self._tell("WATCHDOG=1")
            await sleep(self._interval)

    def _tell(self, *lines: str) -> None:
        if not self._address.startswith(("/", "\0")):
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._unheard:
                log.warning("systemd does not hear us: %s", error.strerror or type(error).__name__)
            self._unheard = True
        else:
            self._unheard = False


def _half(environ: Mapping[str, str], pid: int) -> float | None:
    """Half of the watchdog's time in seconds; None where there is no watchdog, or it watches another process."""
    written, meant = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (written.isascii() and written.isdigit() and int(written)) or (meant and meant != str(pid)):
        return None
    return int(written) / 2e6
