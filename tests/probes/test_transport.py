import errno

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from probes import Outcome
from probes.clients.transport import Connecting, broken

KEY = ConnectionKey("host.example", 80, False, True, None, None, None)
CONNECTED = Connecting(connect=0.1)


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.ECONNREFUSED, Outcome.REFUSED),
        (errno.ECONNRESET, Outcome.RESET),
        (errno.ENETUNREACH, Outcome.CONNECT_TIMEOUT),
        (errno.EHOSTUNREACH, Outcome.CONNECT_TIMEOUT),
        (errno.ETIMEDOUT, Outcome.CONNECT_TIMEOUT),
    ],
)
def test_a_connection_that_was_not_made_says_why(number: int, outcome: Outcome) -> None:
    error = aiohttp.ClientConnectorError(KEY, OSError(number, "no"))
    assert broken(error, Connecting(), "host").outcome is outcome


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.EACCES])
def test_what_this_machine_lacks_is_not_the_endpoints_failure(number: int) -> None:
    with pytest.raises(OSError, match="ours"):
        broken(aiohttp.ClientConnectorError(KEY, OSError(number, "ours")), Connecting(), "host")


@pytest.mark.parametrize(
    ("error", "seen", "outcome"),
    [
        (aiohttp.ConnectionTimeoutError("http://secret/"), Connecting(), Outcome.CONNECT_TIMEOUT),
        (aiohttp.ConnectionTimeoutError(), Connecting(began=1.0, resolving=1.0), Outcome.DNS),
        (aiohttp.ServerDisconnectedError(), CONNECTED, Outcome.RESET),
        (aiohttp.ClientOSError(errno.ECONNRESET, "reset"), CONNECTED, Outcome.RESET),
        (aiohttp.ClientPayloadError("cut"), CONNECTED, Outcome.RESET),
        (aiohttp.InvalidURL("http://secret/"), Connecting(), Outcome.AUTH),
    ],
)
def test_a_broken_connection_says_how(error: aiohttp.ClientError, seen: Connecting, outcome: Outcome) -> None:
    found = broken(error, seen, "host")
    assert found.outcome is outcome
    assert "secret" not in found.detail
