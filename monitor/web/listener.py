"""The open port, and the certificate that it shows."""

import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from monitor.config import certificate
from monitor.config.model import Web
from monitor.web.access import CannotListen

log = logging.getLogger("plumbline.web")

#: How long answers under way may take when we stop.
_GOODBYE_SECONDS = 2.0


class Listener:
    """A port that answers."""

    def __init__(self, port: int, tls: ssl.SSLContext | None, settings: Callable[[], Web]) -> None:
        self.port = port
        self._tls = tls
        self._settings = settings

    def renew(self) -> None:
        """Reads certificate and key again; connections from now on see them, older ones go on."""
        named = self._settings().tls
        if self._tls is None or named is None:
            return
        try:
            certificate.context(named.cert, named.key)  # a pair that does not fit would spoil the one in use
            certificate.show(self._tls, named.cert, named.key)
        except OSError as error:
            log.error("web.tls cannot be used (%s); the port shows the certificate that it had", error)


@asynccontextmanager
async def listen(app: web.Application, settings: Callable[[], Web]) -> AsyncIterator[Listener]:
    """Listens on `web.listen`, with `web.tls` where there is one, while the block runs.

    Raises:
        CannotListen: The address is taken or not one of ours, or the certificate cannot be used any more.
    """
    now = settings()
    try:
        tls = None if now.tls is None else certificate.context(now.tls.cert, now.tls.key)
    except OSError as error:
        raise CannotListen(f"cannot use web.tls ({error.strerror}); run `plumbline check-config`") from None
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GOODBYE_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, now.host, now.port, ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            raise CannotListen(
                f"cannot listen on {now.listen} ({error.strerror}); change web.listen"
            ) from None
        yield Listener(site.port, tls, settings)
    finally:
        await runner.cleanup()
