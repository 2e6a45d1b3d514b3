"""What an endpoint last said of itself: the model it served, whether it took our key, when it answered."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.rounds import Claim
from monitor.store.tables import endpoints, events
from probes import Outcome


async def note(connection: AsyncConnection, claim: Claim, rows: Sequence[Any]) -> list[str]:
    """Keeps what the attempts of a round say of their endpoint; says which identity changed, for people."""
    mine = endpoints.c.name == claim.endpoint
    row = (await connection.execute(select(endpoints).where(mine))).first()
    replies = [each for each in rows if each.outcome == Outcome.OK]
    values: dict[str, Any] = {}
    said = []
    if replies:
        last = max(replies, key=lambda each: each.started)
        values = {"last_reply": last.started}
        for name, word in (("served_model", "model"), ("fingerprint", "fingerprint")):
            new, old = getattr(last, name), getattr(row, name) if row is not None else None
            if new is not None:
                values[name] = new
            if new is not None and old is not None and new != old:
                said.append(f"{word} changed from {old} to {new}")
    if replies or any(each.outcome == Outcome.AUTH for each in rows):
        state = "ok" if replies else "misconfigured"
        if row is None or row.state != state:
            values |= {"state": state, "state_since": claim.slot, "state_detail": refusal(rows)}
    if values:
        await connection.execute(update(endpoints).where(mine).values(**values))
    # A balanced fleet may alternate between fingerprints: those are counted, not listed.
    for text in (each for each in said if each.startswith("model")):
        await connection.execute(
            insert(events).values(at=claim.slot, kind="model", endpoint=claim.endpoint, text=text)
        )
    return said


def refusal(rows: Sequence[Any]) -> str:
    """Why the endpoint does not take our requests, in its own words; empty where it does."""
    return next((row.detail for row in rows if row.outcome == Outcome.AUTH and row.detail), "")
