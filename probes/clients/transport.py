"""HTTP for clients: one session, what its connection took, and what a broken one means."""

import errno
import os
import ssl
from dataclasses import dataclass
from time import monotonic
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError

from probes.errors import (
    ConnectionRefused,
    ConnectionReset,
    ConnectTimeout,
    EndpointError,
    EndpointTimeout,
    MalformedReply,
    Misconfigured,
    NameNotResolved,
    TlsFailed,
)

#: Shorter than the 5 s after which uvicorn (vLLM, LiteLLM) closes an idle connection: a request that is sent
#: into a closing one would be reset, and that would be our doing.
_KEEP_ALIVE = 4.0
_NEVER = float("inf")
_NO_ROUTE = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ENETDOWN, errno.EHOSTDOWN}
)
#: We ran out of something: says nothing about the endpoint.
_OURS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM}
)


@dataclass(slots=True)
class Connecting:
    """What one attempt's connection took, filled in by the session's hooks. Seconds; times are monotonic.

    `connect` is TCP and TLS without the name's resolution.
    """

    began: float | None = None
    resolving: float | None = None
    dns: float | None = None
    connect: float | None = None
    reused: bool = False

    @property
    def connected(self) -> bool:
        """Whether there was a connection to speak through."""
        return self.reused or self.connect is not None


def new_session(
    connect_timeout: float, connector: aiohttp.BaseConnector | None = None
) -> aiohttp.ClientSession:
    """A session for attempts: keep-alive, no limit of its own, no cookies, no deadline but the caller's.

    Pass `trace_request_ctx=Connecting()` with each request. Must be called inside a running event loop.
    """
    hooks = aiohttp.TraceConfig()
    hooks.on_connection_create_start.append(_connecting)
    hooks.on_dns_resolvehost_start.append(_resolving)
    hooks.on_dns_resolvehost_end.append(_resolved)
    hooks.on_connection_create_end.append(_connected)
    hooks.on_connection_reuseconn.append(_reused)
    return aiohttp.ClientSession(
        connector=connector or aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
        # aiohttp rounds timeouts above its threshold up to whole seconds
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout, ceil_threshold=_NEVER),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[hooks],
    )


def broken(error: aiohttp.ClientError, seen: Connecting, host: str) -> EndpointError:
    """What a failure of the connection means. The error's own words are not shown: they may hold the address.

    Raises:
        OSError: It was this machine's failure (for example no free file descriptor), not the endpoint's.
    """
    match error:
        case aiohttp.ConnectionTimeoutError():
            return out_of_time(seen, host)
        case aiohttp.ClientSSLError():
            return TlsFailed(f"no trusted encryption with {host}{_tls_words(error)}")
        case aiohttp.ServerFingerprintMismatch():
            return TlsFailed(f"no trusted encryption with {host}")
        case aiohttp.ClientConnectorDNSError():
            return NameNotResolved(f"the name {host} has no address")
        case aiohttp.ClientConnectorError():
            return _not_connected(error.os_error, host)
        case aiohttp.ClientPayloadError() if isinstance(error.__cause__, ContentEncodingError):
            return MalformedReply("the body is not in the encoding that its header names")
        case aiohttp.ClientResponseError():
            return MalformedReply("the answer is not HTTP")
        case aiohttp.InvalidURL():
            return Misconfigured("the address is not a URL; check `url`")
    return ConnectionReset(f"{host} broke the connection before the reply was whole")


def out_of_time(seen: Connecting, host: str) -> EndpointError:
    """What it means that a deadline passed: it depends on how far the attempt had come."""
    if seen.connected:
        return EndpointTimeout(f"no whole reply from {host} before the deadline")
    if seen.resolving is not None and seen.dns is None:
        return NameNotResolved(f"DNS did not answer for {host} in time")
    return ConnectTimeout(f"no connection to {host} in time")


def _not_connected(error: OSError, host: str) -> EndpointError:
    if error.errno in _OURS:
        raise error
    if error.errno in _NO_ROUTE:
        return ConnectTimeout(f"no connection to {host}: {os.strerror(error.errno)}")
    if error.errno in (errno.ECONNRESET, errno.EPIPE):
        return ConnectionReset(f"{host} broke the connection while it was made")
    return ConnectionRefused(f"nothing accepts connections at {host}")


def _tls_words(error: aiohttp.ClientSSLError) -> str:
    reason = error.__cause__ or error.__context__
    words = reason.reason if isinstance(reason, ssl.SSLError) else None
    return f" ({words.replace('_', ' ').lower()})" if words else ""


def _of(context: SimpleNamespace) -> Connecting:
    seen: Connecting = context.trace_request_ctx
    return seen


async def _connecting(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    _of(context).began = monotonic()


async def _resolving(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    _of(context).resolving = monotonic()


async def _resolved(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    seen = _of(context)
    seen.dns = monotonic() - (seen.resolving or monotonic())


async def _connected(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    seen = _of(context)
    now = monotonic()
    seen.connect = now - (seen.began or now) - (seen.dns or 0.0)


async def _reused(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    _of(context).reused = True
