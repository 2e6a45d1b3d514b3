"""A name that does not resolve is held against an endpoint only while our own network is seen up."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from monitor.uplink import FRESH, Uplink
from tests.conftest import Clock


@asynccontextmanager
async def _host() -> AsyncIterator[str]:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _nobody() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


async def test_one_target_that_takes_a_connection_is_enough(clock: Clock) -> None:
    async with _host() as host:
        uplink = Uplink([_nobody(), "name.invalid:53", host], clock)
        assert uplink.last_up is None
        assert await uplink.up("bot")
        assert uplink.last_up is True


@pytest.mark.parametrize("targets", [["name.invalid:53"], ["[::1]:1", "127.0.0.1:1"]])
async def test_where_no_target_can_be_reached_the_network_is_down(clock: Clock, targets: list[str]) -> None:
    uplink = Uplink(targets, clock)
    uplink.replied("other")  # the check is newer than that reply
    assert not await uplink.up("bot")
    assert uplink.last_up is False


async def test_an_address_of_the_newer_protocol_is_understood(clock: Clock) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await Uplink([f"[::1]:{port}"], clock).up("bot")


async def test_without_targets_another_endpoint_s_reply_proves_the_network_for_a_minute(clock: Clock) -> None:
    uplink = Uplink([], clock)
    assert not await uplink.up("bot")
    uplink.replied("bot")
    assert not await uplink.up("bot"), "its own reply says nothing about the time after it"
    assert await uplink.up("other")
    uplink.replied("other")
    assert await uplink.up("bot")
    clock.now += FRESH
    assert not await uplink.up("bot")
