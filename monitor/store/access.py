"""Tokens and the audit trail. A token is shown once, when it is made; the store keeps its SHA-256."""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.engine import Store
from monitor.store.tables import audits, metas, tokens

#: What a token may be good for. `admin` is good for everything.
SCOPES = ("read", "ingest", "review", "operate", "admin")
ADMIN = "admin"

_PREFIX = "plb_"
_TOUCHED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """One token, without what it reads."""

    id: str
    name: str
    hash: str
    scopes: tuple[str, ...]
    created: datetime
    revoked: datetime | None
    last_used: datetime | None

    def allows(self, scope: str) -> bool:
        """Whether it is good for a scope."""
        return scope in self.scopes or ADMIN in self.scopes


@dataclass(frozen=True, kw_only=True, slots=True)
class Audited:
    """One line of the audit trail: who did what to what, when and why."""

    at: datetime
    who: str
    action: str
    object: str
    why: str
    detail: Mapping[str, Any] | None


async def create_token(
    store: Store, name: str, scopes: Sequence[str], now: datetime, id: str, *, who: str = "command line"
) -> str:
    """Makes a token and returns what it reads, which nobody can find out again.

    Raises:
        ValueError: The name is empty, or a scope is not known.
    """
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        what = f"there is no scope {unknown[0]!r}" if unknown else "a token needs a scope"
        raise ValueError(f"{what}; known are: {', '.join(SCOPES)}")
    if not name.strip():
        raise ValueError("a token needs a name, so that it can be told from others when one is revoked")
    plain = _PREFIX + secrets.token_urlsafe(32)
    scoped = sorted(set(scopes), key=SCOPES.index)
    async with store.write() as connection:
        await connection.execute(
            insert(tokens).values(
                id=id, name=name, hash=_hash(plain), scopes=scoped, created=now, revoked=None, last_used=None
            )
        )
        await record(
            connection,
            at=now,
            who=who,
            action="token create",
            object=name,
            detail={"id": id, "scopes": scoped},
        )
    return plain


async def listed(connection: AsyncConnection) -> list[Token]:
    """Every token that was ever made, oldest first."""
    return [_token(row) for row in await connection.execute(select(tokens).order_by(tokens.c.created))]


async def usable(connection: AsyncConnection) -> list[Token]:
    """The tokens that open something."""
    found = await connection.execute(select(tokens).where(tokens.c.revoked.is_(None)))
    return [_token(row) for row in found]


async def revoke(store: Store, name_or_id: str, now: datetime, *, who: str = "command line") -> list[Token]:
    """Makes tokens useless, by id or by name; returns those that were usable until now."""
    async with store.write() as connection:
        chosen = or_(tokens.c.id == name_or_id, tokens.c.name == name_or_id)
        found = await connection.execute(select(tokens).where(chosen, tokens.c.revoked.is_(None)))
        gone = [_token(row) for row in found]
        for token in gone:
            await connection.execute(update(tokens).where(tokens.c.id == token.id).values(revoked=now))
            await record(
                connection, at=now, who=who, action="token revoke", object=token.name, detail={"id": token.id}
            )
    return gone


def find(among: Collection[Token], plain: str) -> Token | None:
    """The token that reads so. Looks at all of them, in a time that does not depend on which one it is."""
    digest = _hash(plain)
    found = None
    for token in among:
        if hmac.compare_digest(token.hash, digest):
            found = token
    return found


async def used(store: Store, token: Token, now: datetime) -> None:
    """Notes that a token was used; at most once a minute, whoever asks."""
    stale = or_(tokens.c.last_used.is_(None), tokens.c.last_used <= now - _TOUCHED_EVERY)
    async with store.write() as connection:
        await connection.execute(update(tokens).where(tokens.c.id == token.id, stale).values(last_used=now))


async def record(
    connection: AsyncConnection,
    *,
    at: datetime,
    who: str,
    action: str,
    object: str,
    why: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Writes one line of the audit trail, in the transaction of what it speaks of."""
    await connection.execute(
        insert(audits).values(
            at=at,
            who=who,
            action=action,
            object=object,
            why=why,
            detail=None if detail is None else dict(detail),
        )
    )


async def trail(connection: AsyncConnection, limit: int) -> list[Audited]:
    """The newest lines of the audit trail, newest first."""
    newest = select(audits).order_by(audits.c.at.desc(), audits.c.id.desc()).limit(limit)
    return [
        Audited(**{name: getattr(row, name) for name in Audited.__dataclass_fields__})
        for row in await connection.execute(newest)
    ]


async def session_key(store: Store) -> bytes:
    """The key that signs sessions: made once per store, so that all replicas share it, and never shown."""
    key = metas.c.key == "session_key"
    async with store.write() as connection:
        made = store.insert(metas).values(key="session_key", value=secrets.token_hex(32))
        await connection.execute(made.on_conflict_do_nothing())
        return bytes.fromhex((await connection.execute(select(metas.c.value).where(key))).scalar_one())


def _hash(plain: str) -> str:
    return hashlib.sha256(plain.encode(errors="surrogateescape")).hexdigest()


def _token(row: Any) -> Token:
    values = {name: getattr(row, name) for name in Token.__dataclass_fields__}
    return Token(**{**values, "scopes": tuple(row.scopes)})
