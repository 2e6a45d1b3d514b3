"""The tokens that open something, as the port knows them, and those who came with wrong ones."""

import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta

from aiohttp import web

from monitor.store import access
from monitor.store.access import Token
from monitor.store.engine import Store
from monitor.store.errors import StoreUnavailable
from monitor.web.failures import MOST, WITHIN, Failures, Turn, counted_as

log = logging.getLogger("plumbline.web")

#: For how long tokens are believed without looking; a change is promised to work within 5 s.
_BELIEVED = timedelta(seconds=4)
_TOUCHED_EVERY = timedelta(minutes=1)

#: A turn of a burst -> what the audit trail calls it, and why.
_LINES = {
    Turn.FIRST: ("token refused", "a token that is not known or was revoked"),
    Turn.LIMITED: ("address limited", f"{MOST} unknown tokens within {WITHIN.total_seconds():.0f} s"),
}


class KnownTokens:
    """The usable tokens of the store, looked up anew every few seconds."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._tokens: list[Token] = []
        self._looked: datetime | None = None
        self._touched: dict[str, datetime] = {}
        self._failures = Failures()

    async def all(self) -> list[Token]:
        """The usable tokens. While the store is away, those it held last: nobody can change them either.

        Raises:
            StoreUnavailable: The database is away, and was so from the start.
        """
        now = self._clock()
        if self._looked is None or not timedelta(0) <= now - self._looked < _BELIEVED:
            try:
                async with self._store.read() as connection:
                    self._tokens = await access.usable(connection)
                self._looked = now
            except StoreUnavailable:
                if self._looked is None:
                    raise
        return self._tokens

    async def recognise(self, request: web.Request, plain: str) -> Token | None:
        """The token that reads so. None is a failure: it is counted, and a burst of them leaves two audit lines.

        Raises:
            web.HTTPTooManyRequests: Too many failures from this address. A good token passes all the same,
                so that a bad neighbour behind the same proxy locks nobody out.
        """
        token = access.find(await self.all(), plain)
        if token is not None:
            return token
        address, now = counted_as(request.remote), self._clock()
        if wait := self._failures.wait(address, now):
            seconds = max(1, math.ceil(wait.total_seconds()))
            raise web.HTTPTooManyRequests(
                text=f"too many unknown tokens came from your address; try again in {seconds} s\n",
                headers={"Retry-After": str(seconds)},
            )
        turn = self._failures.note(address, now)
        if turn is not None:
            await self._tell(turn, address, request, now)
        return None

    async def touch(self, token: Token) -> None:
        """Notes that a token was used."""
        now, last = self._clock(), self._touched.get(token.id)
        if last is not None and timedelta(0) <= now - last < _TOUCHED_EVERY:
            return
        self._touched[token.id] = now
        try:
            await access.used(self._store, token, now)
        except StoreUnavailable:
            return  # when it was last used is not worth an answer

    async def _tell(self, turn: Turn, address: str, request: web.Request, now: datetime) -> None:
        action, why = _LINES[turn]
        resource = request.match_info.route.resource
        route = "" if resource is None else resource.canonical  # never the path itself: it may be anything
        log.warning("%s: %s came to %s with %s", action, address, route, why)
        try:
            async with self._store.write() as connection:
                await access.record(connection, at=now, who=address, action=action, object=route, why=why)
        except StoreUnavailable:
            return  # the log has it, and the answer must not hang on it
