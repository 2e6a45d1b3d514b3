"""`plumbline status --speed`: how fast and how dear endpoints are. And the few of these numbers that `status` shows."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from monitor.cli.ending import Code, Refused
from monitor.cli.opening import now, open_store, read_config
from monitor.cli.options import Output, SpeedBy
from monitor.cli.show import Columns, as_json, listing, moment, say
from monitor.config.model import Config
from monitor.config.problem import choose
from monitor.distribution import QUANTILES, Distribution, Estimate
from monitor.period import NotAPeriod, period
from monitor.speed import MEASURED, Speed
from monitor.store.engine import Store
from monitor.store.speed import (
    MOST_ROUNDS,
    Asked,
    PeriodTooLarge,
    SpeedRow,
    SpeedView,
    speed,
    spent_since,
)
from monitor.web.speed import to_json
from monitor.web.words import figure, money, within

_MONTH = timedelta(days=30)
_MEASURES: Columns = {
    "measure": ("measure", str),
    "n": ("n", "{:,}".format),
    "min": ("min", str),
    "mean": ("mean", str),
    **{name: (name, str) for name in QUANTILES},
    "max": ("max", str),
    "std": ("std", str),
    "distrusted": ("left out", "{:,}".format),
}
_SHORT: Columns = {
    "endpoint": ("endpoint", str),
    "n": ("replies in 24 h", "{:,}".format),
    "median": ("latency: median", str),
    "p95": ("p95", str),
    "first": ("first token: median", str),
    "tokens": ("tokens a second: median", str),
    "cost": ("cost: mean", str),
    "day": ("in 24 h", money),
    "month": ("in 30 d", money),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the command line asks for."""

    since: str | None
    start: str | None
    end: str | None
    by: SpeedBy
    tag: str | None
    endpoint: str | None


def show_speed(path: Path, wish: Wish, output: Output) -> Code:
    """Shows every distribution of the period."""
    config = read_config(path, secrets=False).config
    if wish.endpoint is not None and wish.endpoint not in config.endpoints:
        cure = choose(wish.endpoint, config.endpoints)
        raise Refused(f"no endpoint is called '{wish.endpoint}'; {cure}", Code.USAGE)
    try:
        asked = Asked(
            period=period(now(), since=wish.since, start=wish.start, end=wish.end),
            by="" if wish.by is SpeedBy.ENDPOINT else wish.by.value,
            tag=wish.tag,
            endpoint=wish.endpoint,
        )
        seen = asyncio.run(_look(config, asked))
    except (NotAPeriod, PeriodTooLarge) as error:
        raise Refused(str(error), Code.USAGE) from None
    if wish.tag is not None and wish.tag not in seen.tags:
        raise Refused(f"no case has the tag '{wish.tag}'; {choose(wish.tag, seen.tags)}", Code.USAGE)
    if output is Output.JSON:
        as_json(orjson.loads(to_json(seen)))
    else:
        _tell(seen)
    return Code.OK


async def _look(config: Config, asked: Asked) -> SpeedView:
    async with open_store(config) as store:
        return await speed(store, asked, now())


def _tell(seen: SpeedView) -> None:
    span = seen.asked.period
    say(f"rounds from {moment(span.start)} to {moment(span.end)} UTC, with 95 % intervals")
    if seen.more_rounds:
        say(f"the newest {MOST_ROUNDS} rounds; choose a shorter period to see others")
    if not seen.rows:
        say("no request that fits was made in this period; choose a longer one with --since")
    for row in seen.rows:
        say("", _heading(row, seen.asked), _counted(row.speed))
        if row.speed.answered:
            listing(list(_measures(row.speed)), _MEASURES, Output.TABLE, nothing="")


def _heading(row: SpeedRow, asked: Asked) -> str:
    if row.slot is not None:
        return f"{row.speed.endpoint} / {row.probe}, {row.kind} round of {moment(row.slot)}"
    group = row.speed.group or ("no tag" if asked.by == "tag" else "")
    return f"{row.speed.endpoint} / {group}" if group else row.speed.endpoint


def _counted(made: Speed) -> str:
    said = [f"{made.requests:,} requests: {made.answered:,} answered, {made.failed:,} failed"]
    if made.not_asked:
        said.append(f"{made.not_asked:,} given up by us")
    if made.reused is not None:
        said.append(f"{_read('share', made.reused)} of the answered ones found an open connection")
    said.append("cost not known" if made.spent_usd is None else f"together {money(made.spent_usd)}")
    if made.spent_usd is not None and made.unpriced:
        said.append(f"cost of {made.unpriced:,} not known")
    return "; ".join(said)


def _measures(made: Speed) -> Iterator[dict[str, Any]]:
    for name, (unit, _) in MEASURED.items():
        if seen := made.measures[name]:
            yield {
                "measure": name.replace("_", " "),
                "n": seen.n,
                "min": figure(unit, seen.min),
                "mean": _read(unit, seen.mean),
                **{each: _read(unit, getattr(seen, each)) for each in QUANTILES},
                "max": figure(unit, seen.max),
                "std": None if seen.std is None else figure(unit, seen.std),
                "distrusted": seen.distrusted or None,
            }


def _read(unit: str, each: Estimate) -> str:
    return f"{figure(unit, each.value)} ({within(unit, each.value, each.low, each.high)})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Short:
    """What `status` says of speed and cost: the last 24 hours, and the dollars of 30 days."""

    rows: Sequence[SpeedRow]
    month_usd: Mapping[str, float]
    note: str


async def look_short(store: Store) -> Short:
    """Reads the last 24 hours; where they hold too much it says so."""
    at = now()
    rows: Sequence[SpeedRow] = ()
    note = ""
    try:
        rows = (await speed(store, Asked(period=period(at)), at)).rows
    except PeriodTooLarge as error:
        note = f"{error}, like `plumbline status --speed --since 10m`"
    async with store.read() as connection:
        month = await spent_since(connection, (at - _MONTH).date())
    return Short(rows=rows, month_usd=month, note=note)


def tell_short(short: Short) -> None:
    """Writes one line an endpoint."""
    if short.note:
        say(short.note)
    if short.rows:
        listing([_short(row.speed, short.month_usd) for row in short.rows], _SHORT, Output.TABLE, nothing="")


def _short(made: Speed, month: Mapping[str, float]) -> dict[str, Any]:
    def read(measure: str, part: str) -> str | None:
        seen: Distribution | None = made.measures[measure]
        return None if seen is None else _read(MEASURED[measure][0], getattr(seen, part))

    return {
        "endpoint": made.endpoint,
        "n": made.answered,
        "median": read("latency", "median"),
        "p95": read("latency", "p95"),
        "first": read("time_to_first_token", "median"),
        "tokens": read("tokens_per_second", "median"),
        "cost": read("cost", "mean"),
        "day": made.spent_usd,
        "month": None if made.spent_usd is None else month.get(made.endpoint),
    }
