"""`plumbline token`: makes, lists and revokes tokens for the port."""

import asyncio
import random
from pathlib import Path

from monitor.cli.baseline import person
from monitor.cli.ending import Code, Refused
from monitor.cli.opening import now, open_store, read_config
from monitor.cli.options import Output
from monitor.cli.show import Columns, as_json, listing, moment, say
from monitor.ids import new_id
from monitor.store import access
from monitor.store.access import Token

_COLUMNS: Columns = {
    "id": ("id", str),
    "name": ("name", str),
    "scopes": ("scopes", lambda scopes: ", ".join(scopes)),
    "created": ("created", moment),
    "last_used": ("last used", moment),
    "revoked": ("revoked", moment),
}


def create(path: Path, name: str, scopes: str, output: Output) -> None:
    """Makes a token and shows it, once."""
    config = read_config(path, secrets=False).config
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    id = new_id("tok", now(), random.SystemRandom())

    async def work() -> str:
        async with open_store(config) as store:
            return await access.create_token(store, name, wanted, now(), id, who=person())

    try:
        plain = asyncio.run(work())
    except ValueError as error:
        raise Refused(str(error), Code.USAGE) from error
    if output is Output.JSON:
        as_json({"id": id, "name": name, "scopes": wanted, "token": plain})
        return
    say(plain)
    say(
        "It is shown this once. Programs send it as `Authorization: Bearer plb_...`, people log in with it.",
        errors=True,
    )


def list_tokens(path: Path, output: Output) -> None:
    """Every token, without what it reads."""
    config = read_config(path, secrets=False).config

    async def work() -> list[Token]:
        async with open_store(config) as store, store.read() as connection:
            return await access.listed(connection)

    rows = [{key: getattr(token, key) for key in _COLUMNS} for token in asyncio.run(work())]
    listing(
        rows, _COLUMNS, output, nothing="no tokens; make one with `plumbline token create NAME --scope read`"
    )


def revoke(path: Path, name_or_id: str) -> None:
    """Makes tokens useless, within five seconds also to a daemon that runs."""
    config = read_config(path, secrets=False).config

    async def work() -> list[Token]:
        async with open_store(config) as store:
            return await access.revoke(store, name_or_id, now(), who=person())

    gone = asyncio.run(work())
    if not gone:
        raise Refused("no usable token has this name or id; see `plumbline token list`", Code.USAGE)
    for token in gone:
        say(f"revoked {token.name} ({token.id})")
