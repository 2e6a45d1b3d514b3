"""Eval sets: their active cases and their immutable versions."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.engine import Store, exclusive, slices
from monitor.store.tables import eval_set_cases, eval_set_versions
from probes import Case
from rotation.eval_set import Version, next_version


def _case_json(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "messages": [message.as_json() for message in case.messages],
        "target": list(case.targets),
        "tools": list(case.tools),
        "format": case.format,
        "params": dict(case.params),
        "scorers": [spec.as_json() for spec in case.scorers],
        "tags": list(case.tags),
        "weight": case.weight,
        "difficulty": case.difficulty,
        "metadata": dict(case.metadata),
        "family": case.family,
        "provenance": asdict(case.provenance),
    }


async def current(connection: AsyncConnection, eval_set: str) -> Version | None:
    """The newest version."""
    found = await connection.execute(
        select(eval_set_versions)
        .where(eval_set_versions.c.eval_set == eval_set)
        .order_by(eval_set_versions.c.number.desc())
        .limit(1)
    )
    row = found.first()
    if row is None:
        return None
    return Version(
        number=row.number,
        hash=row.hash,
        parent=row.parent,
        cases=tuple(row.cases),
        created=row.created,
        author=row.author,
        reason=row.reason,
    )


async def sync_file(
    connection: AsyncConnection,
    store: Store,
    eval_set: str,
    cases: Sequence[Case],
    *,
    now: datetime,
    author: str,
    reason: str,
) -> Version:
    """Makes the file layer what the file says: new cases enter, missing ones retire, grown ones stay.

    Returns:
        The version that holds now; a new one only where something changed.
    """
    await exclusive(connection, "eval sets")  # two replicas may read a changed file at the same time
    table = eval_set_cases
    found = await connection.execute(
        select(table.c.case_hash, table.c.layer, table.c.retired).where(table.c.eval_set == eval_set)
    )
    known = {row.case_hash: row for row in found}
    grown = [h for h, row in known.items() if row.layer == "grown" and row.retired is None]
    wanted = {case.content_hash: case for case in cases}
    gone = [h for h, row in known.items() if row.layer == "file" and row.retired is None and h not in wanted]
    # A retired grown case that somebody writes into the file is the file's from now on.
    back = [h for h in wanted if h in known and known[h].retired is not None]
    for hashes, values in ((gone, {"retired": now}), (back, {"retired": None, "layer": "file"})):
        for some in slices(hashes):
            await connection.execute(
                update(table).where(table.c.eval_set == eval_set, table.c.case_hash.in_(some)).values(values)
            )
    rows = [
        {
            "eval_set": eval_set,
            "case_hash": case_hash,
            "layer": "file",
            "case_id": case.id,
            "body": _case_json(case),
            "added": now,
            "retired": None,
        }
        for case_hash, case in wanted.items()
        if case_hash not in known
    ]
    if rows:
        await connection.execute(insert(table), rows)
    before = await current(connection, eval_set)
    after = next_version(before, list(wanted), grown, now=now, author=author, reason=reason)
    if after is None:
        assert before is not None  # noqa: S101 - "nothing changed" needs something to compare with
        return before
    await connection.execute(
        insert(eval_set_versions).values(
            eval_set=eval_set,
            number=after.number,
            hash=after.hash,
            parent=after.parent,
            cases=list(after.cases),
            author=after.author,
            reason=after.reason,
            created=after.created,
        )
    )
    return after
