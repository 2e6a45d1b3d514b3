"""The page of speed and cost, and the same as JSON."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp import web

from monitor.config.problem import choose
from monitor.distribution import QUANTILES
from monitor.period import NotAPeriod, period
from monitor.speed import MEASURED
from monitor.store.speed import BY, MOST_ROUNDS, Asked, PeriodTooLarge, SpeedRow, SpeedView, speed
from monitor.web import pages
from monitor.web.access import visitor_of
from monitor.web.daemon import DAEMON, now
from monitor.web.origin import way_up

_PAGE = pages.environment().get_template("speed.html")

#: What a question may hold, each at most once.
_WORDS = ("since", "from", "to", "by", "tag", "endpoint")
#: The periods that the page offers.
_PERIODS = {"1h": "1 hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days"}
_GROUPS = {"": "endpoint", **{each: each for each in BY}}

#: (what it says, where it leads, whether it is chosen now).
Choice = tuple[str, str, bool]


async def page(request: web.Request) -> web.Response:
    """The page. It is written in a thread, like the status page."""
    seen = await _look(request)
    written = await asyncio.to_thread(
        _PAGE.render,
        o=seen,
        choices=_choices(request.query, seen),
        measured={name: unit for name, (unit, _) in MEASURED.items()},
        quantiles=list(QUANTILES),
        most_rounds=MOST_ROUNDS,
        who=visitor_of(request),
        up=way_up(request),
    )
    return web.Response(text=written, content_type="text/html")


async def as_json(request: web.Request) -> web.Response:
    """What the page shows, for programs; `plumbline status --speed -o json` prints the same."""
    body = await asyncio.to_thread(to_json, await _look(request))
    return web.Response(body=body, content_type="application/json")


def to_json(seen: SpeedView) -> bytes:
    """A view as JSON: times in RFC 3339, seconds, dollars, ratios; what is not known is null."""
    asked = seen.asked
    body = {
        "at": seen.at,
        "from": asked.period.start,
        "to": asked.period.end,
        "by": asked.by or "endpoint",
        "tag": asked.tag,
        "endpoint": asked.endpoint,
        "more_rounds": seen.more_rounds,
        "rows": [_row(each) for each in seen.rows],
    }
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)


def _row(row: SpeedRow) -> dict[str, Any]:
    made = row.speed
    said: dict[str, Any] = {name: getattr(made, name) for name in made.__slots__}
    return {**said, "group": made.group or None, "slot": row.slot, "probe": row.probe, "kind": row.kind}


async def _look(request: web.Request) -> SpeedView:
    daemon, at = request.app[DAEMON], now(request)
    given = request.query
    if unknown := [name for name in given if name not in _WORDS]:
        raise _refused(f"there is no '{unknown[0][:40]}'; {choose(unknown[0][:40], _WORDS)}")
    by = given.get("by", "endpoint")
    if by not in _GROUPS.values():
        raise _refused(f"by cannot be '{by[:40]}'; {choose(by[:40], _GROUPS.values())}")
    try:
        asked = Asked(
            period=period(at, since=given.get("since"), start=given.get("from"), end=given.get("to")),
            by="" if by == "endpoint" else by,
            tag=given.get("tag"),
            endpoint=given.get("endpoint"),
        )
        return await speed(daemon.store, asked, at)
    except (NotAPeriod, PeriodTooLarge) as error:
        raise _refused(str(error)) from None


def _refused(why: str) -> web.HTTPBadRequest:
    shown = "".join(filter(str.isprintable, why))
    return web.HTTPBadRequest(text=f"{shown}\n")


def _choices(given: Mapping[str, str], seen: SpeedView) -> dict[str, list[Choice]]:
    """The links of the page: each changes one word of the question and keeps the others."""
    kept = {name: given[name] for name in _WORDS if name in given}
    span = "" if "from" in kept else kept.get("since", "24h")
    untimed = {name: value for name, value in kept.items() if name not in ("since", "from", "to")}

    def links(name: str, said: Mapping[str, str], chosen: str) -> Iterator[Choice]:
        base = untimed if name == "since" else kept
        for value, text in said.items():
            changed = {**base, name: value}
            yield text, "?" + urlencode({key: each for key, each in changed.items() if each}), value == chosen

    made = {
        "Last": list(links("since", _PERIODS, span)),
        "By": list(links("by", _GROUPS, seen.asked.by)),
    }
    if seen.tags:
        tags = {"": "all", **{tag: tag for tag in seen.tags}}
        made["Tag"] = list(links("tag", tags, seen.asked.tag or ""))
    return made
