"""`plumbline db`: the store's schema."""

import asyncio
from pathlib import Path

from monitor.cli.ending import Code
from monitor.cli.opening import now, read_config
from monitor.cli.show import say
from monitor.config.model import Config
from monitor.store import schema
from monitor.store.engine import Store
from monitor.store.errors import SchemaOutdated, SchemaUnknown


def upgrade(path: Path) -> None:
    """Brings the schema up to date."""
    before = asyncio.run(_upgrade(read_config(path, secrets=False).config))
    if before == schema.HEAD:
        say(f"the schema is {schema.HEAD} already")
    else:
        say(f"the schema is {schema.HEAD} now, it was {before or 'empty'}")


async def _upgrade(config: Config) -> str | None:
    store = Store(config.store)
    try:
        store.lock()  # a daemon on the same SQLite file must not see its tables change
        before = await schema.version(store)
        await schema.prepare(store, migrate=True, now=now())
        return before
    finally:
        await store.close()


def check(path: Path) -> Code:
    """Says whether the schema is current; a finding is one that is not."""
    try:
        asyncio.run(_check(read_config(path, secrets=False).config))
    except (SchemaOutdated, SchemaUnknown) as error:
        say(str(error))
        return Code.FINDING
    say(f"the schema is {schema.HEAD}, as this program needs it")
    return Code.OK


async def _check(config: Config) -> None:
    store = Store(config.store)
    try:
        await schema.require_current(store)
    finally:
        await store.close()
