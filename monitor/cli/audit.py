"""`plumbline audit`: who did what, when and why."""

import asyncio
from dataclasses import asdict
from pathlib import Path

from monitor.cli.opening import open_store, read_config
from monitor.cli.options import Output
from monitor.cli.show import Columns, listing, moment
from monitor.store import access
from monitor.store.access import Audited

_COLUMNS: Columns = {
    "at": ("at", moment),
    "who": ("who", str),
    "action": ("what", str),
    "object": ("to what", str),
    "why": ("why", str),
}


def list_audit(path: Path, *, limit: int, output: Output) -> None:
    """The newest lines of the audit trail, newest first."""
    config = read_config(path, secrets=False).config

    async def work() -> list[Audited]:
        async with open_store(config) as store, store.read() as connection:
            return await access.trail(connection, limit)

    listing(
        [asdict(each) for each in asyncio.run(work())], _COLUMNS, output, nothing="nobody did anything yet"
    )
