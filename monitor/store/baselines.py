"""Baselines and their references: versions, the counts of each case, residual samples."""

import array
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.drift.detector import CaseReference, Reference
from monitor.store.engine import Store
from monitor.store.tables import baselines, case_references, residual_samples, results, rounds

#: States of a baseline: being captured; judging, but not accepted by a person; accepted; no longer
#: what the endpoint is; replaced by another accepted one; given up because too many attempts failed.
CAPTURING, PROVISIONAL, ACCEPTED = "capturing", "provisional", "accepted"
STALE, RETIRED, REFUSED = "stale", "retired", "refused"

#: Beside what a detector fitted: the version of that detector.
FITTED_BY = "fitted_by"

#: Up to so many cases are named in a query; for a whole pool all rows are read.
_FEW = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """One version, without its references."""

    id: str
    endpoint: str
    probe: str
    version: int
    state: str
    subject: str
    fits: Mapping[str, Any]
    author: str
    reason: str
    created: datetime
    accepted: datetime | None


def _baseline(row: Row[Any]) -> Baseline:
    return Baseline(**{name: getattr(row, name) for name in Baseline.__dataclass_fields__})


async def versions(connection: AsyncConnection, endpoint: str, probe: str) -> list[Baseline]:
    """Every version, newest first."""
    found = await connection.execute(
        select(baselines)
        .where(baselines.c.endpoint == endpoint, baselines.c.probe == probe)
        .order_by(baselines.c.version.desc())
    )
    return [_baseline(row) for row in found]


async def active(connection: AsyncConnection, endpoint: str, probe: str, subject: str) -> Baseline | None:
    """What judges now: the accepted version, else the newest provisional one, of this very model and parameters."""
    fresh = [b for b in await versions(connection, endpoint, probe) if b.subject == subject]
    for state in (ACCEPTED, PROVISIONAL):
        for baseline in fresh:
            if baseline.state == state:
                return baseline
    return None


async def capturing(connection: AsyncConnection, endpoint: str, probe: str, subject: str) -> Baseline | None:
    """The capture that is under way, if there is one of this model and parameters."""
    for baseline in await versions(connection, endpoint, probe):
        if baseline.state == CAPTURING and baseline.subject == subject:
            return baseline
    return None


async def refused(connection: AsyncConnection, endpoint: str, probe: str) -> bool:
    """Whether the last try to capture was refused."""
    return any(baseline.state == REFUSED for baseline in await versions(connection, endpoint, probe))


async def begin(
    connection: AsyncConnection,
    *,
    id: str,
    endpoint: str,
    probe: str,
    subject: str,
    author: str,
    reason: str,
    now: datetime,
) -> Baseline:
    """A new version, ready to be captured. One that was refused left nothing behind: its number is used again."""
    await connection.execute(
        delete(baselines).where(
            baselines.c.endpoint == endpoint, baselines.c.probe == probe, baselines.c.state == REFUSED
        )
    )
    newest = await connection.execute(
        select(func.coalesce(func.max(baselines.c.version), 0)).where(
            baselines.c.endpoint == endpoint, baselines.c.probe == probe
        )
    )
    row = {
        "id": id,
        "endpoint": endpoint,
        "probe": probe,
        "version": newest.scalar_one() + 1,
        "state": CAPTURING,
        "subject": subject,
        "fits": {},
        "author": author,
        "reason": reason,
        "created": now,
        "accepted": None,
    }
    await connection.execute(insert(baselines).values(row))
    return Baseline(**row)


async def set_state(connection: AsyncConnection, id: str, state: str, **values: Any) -> None:
    """Moves a version to another state; only what is being captured can end as provisional or refused."""
    query = update(baselines).where(baselines.c.id == id)
    if state in (PROVISIONAL, REFUSED):
        # Two replicas may end one capture, and a person may accept it in between.
        query = query.where(baselines.c.state == CAPTURING)
    await connection.execute(query.values(state=state, **values))


async def set_fit(connection: AsyncConnection, id: str, measure: str, prior: Mapping[str, float]) -> None:
    """Replaces what was fitted over the whole pool for one measure."""
    found = await connection.execute(select(baselines.c.fits).where(baselines.c.id == id))
    fits = found.scalar_one()
    fits = {**fits, measure: {**prior, FITTED_BY: fits[measure][FITTED_BY]}}
    await connection.execute(update(baselines).where(baselines.c.id == id).values(fits=fits))


async def accept(
    connection: AsyncConnection, baseline: Baseline, *, who: str, why: str, now: datetime
) -> None:
    """Makes a version the one that judges; whatever was accepted before is retired."""
    await connection.execute(
        update(baselines)
        .where(
            baselines.c.endpoint == baseline.endpoint,
            baselines.c.probe == baseline.probe,
            baselines.c.state.in_([ACCEPTED, PROVISIONAL]),
            baselines.c.id != baseline.id,
        )
        .values(state=RETIRED)
    )
    await set_state(connection, baseline.id, ACCEPTED, accepted=now, author=who, reason=why)


async def captured_results(connection: AsyncConnection, baseline: str) -> Sequence[Row[Any]]:
    """Every attempt of a baseline's capture, oldest first."""
    found = await connection.execute(
        select(results)
        .select_from(baselines)
        .join(
            rounds,
            and_(
                rounds.c.endpoint == baselines.c.endpoint,
                rounds.c.probe == baselines.c.probe,
                rounds.c.kind == "baseline",
                rounds.c.baseline == baselines.c.id,
            ),
        )
        # By time as well, for the sake of the index: there may be millions of results.
        .join(results, and_(results.c.at == rounds.c.slot, results.c.round_id == rounds.c.id))
        .where(baselines.c.id == baseline)
        .order_by(results.c.at, results.c.seq)
    )
    return found.all()


async def write_reference(
    connection: AsyncConnection,
    store: Store,
    *,
    baseline: str,
    measure: str,
    reference: Reference,
    basis: Mapping[str, str],
    captured: bool = False,
) -> None:
    """Stores case references and, for a fresh capture, the residual sample too."""
    rows = [
        {
            "baseline": baseline,
            "measure": measure,
            "case_key": key,
            "basis": basis[key],
            "runs": case.runs,
            "total": case.total,
            "total_sq": case.total_sq,
            "captured_runs": case.runs if captured else 0,
            "captured_total": case.total if captured else 0.0,
        }
        for key, case in sorted(reference.cases.items())
    ]
    if rows:
        statement = store.insert(case_references)
        new = statement.excluded
        kept = {"basis": new.basis, "runs": new.runs, "total": new.total, "total_sq": new.total_sq}
        if captured:
            kept |= {"captured_runs": new.captured_runs, "captured_total": new.captured_total}
        keys = ["baseline", "measure", "case_key"]
        await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=kept), rows)
    if captured:
        await write_residuals(connection, store, baseline, measure, reference.residuals)


async def write_residuals(
    connection: AsyncConnection, store: Store, baseline: str, measure: str, residuals: Sequence[float]
) -> None:
    """Replaces a stream's residual sample."""
    statement = store.insert(residual_samples).values(
        baseline=baseline, measure=measure, body=_pack(residuals)
    )
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["baseline", "measure"], set_={"body": statement.excluded.body}
        )
    )


async def load_reference(
    connection: AsyncConnection,
    *,
    baseline: str,
    measure: str,
    prior: Mapping[str, float],
    basis: Mapping[str, str],
) -> Reference:
    """The stream's reference for the cases in `basis`; one whose basis has changed counts as never seen."""
    cases = {}
    if basis:
        query = select(case_references).where(
            case_references.c.baseline == baseline, case_references.c.measure == measure
        )
        if len(basis) <= _FEW:
            query = query.where(case_references.c.case_key.in_(list(basis)))
        for row in await connection.execute(query):
            if row.basis == basis.get(row.case_key):
                cases[row.case_key] = CaseReference(runs=row.runs, total=row.total, total_sq=row.total_sq)
    sample = await connection.execute(
        select(residual_samples.c.body).where(
            residual_samples.c.baseline == baseline, residual_samples.c.measure == measure
        )
    )
    body = sample.scalar()
    return Reference(prior=prior, cases=cases, residuals=_unpack(body) if body else ())


def _pack(values: Sequence[float]) -> bytes:
    packed = array.array("d", values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


@lru_cache(maxsize=64)  # residuals seldom change, and a detector sorts each tuple but once
def _unpack(body: bytes) -> tuple[float, ...]:
    packed = array.array("d")
    packed.frombytes(body)
    if sys.byteorder == "big":
        packed.byteswap()
    return tuple(packed)
