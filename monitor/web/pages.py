"""The status page, the same as JSON, and the files it is styled with."""

import asyncio
from dataclasses import fields
from pathlib import Path

import orjson
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from monitor.store.overview import overview
from monitor.store.views import Overview
from monitor.version import VERSION
from monitor.web import drawing, words
from monitor.web.access import visitor_of
from monitor.web.daemon import DAEMON, now
from monitor.web.origin import way_up

_FOLDER = Path(__file__).parent
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_STATIC = {path.name: path.read_bytes() for path in (_FOLDER / "static").iterdir() if path.suffix in _TYPES}


_WORDS = (
    *("reading", "moved", "evidence", "days", "when", "ago", "until", "every"),
    *("money", "outcomes", "grounds", "figure", "within"),
)


def environment() -> Environment:
    """What every page of ours is written with: nothing that is not known, nothing unescaped."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"version": VERSION, "bar": drawing.bar, "sparkline": drawing.sparkline}
    for name in _WORDS:
        made.globals[name] = getattr(words, name)
    return made


_TEMPLATE = environment().get_template("status.html")


async def status(request: web.Request) -> web.Response:
    """The page. It is written in a thread: probes that are being timed must not wait for it."""
    seen = await _look(request)
    page = await asyncio.to_thread(_TEMPLATE.render, o=seen, who=visitor_of(request), up=way_up(request))
    return web.Response(text=page, content_type="text/html")


async def status_json(request: web.Request) -> web.Response:
    """What the page shows, for programs; `plumbline status -o json` prints the same."""
    body = await asyncio.to_thread(as_json, await _look(request))
    return web.Response(body=body, content_type="application/json")


async def static(request: web.Request) -> web.Response:
    """A file of the page; they are few, and read once."""
    name = request.match_info["name"]
    if name not in _STATIC:
        raise web.HTTPNotFound(text="there is no such file\n")
    kind = _TYPES[Path(name).suffix]
    return web.Response(
        body=_STATIC[name], content_type=kind, charset="utf-8", headers={"Cache-Control": "max-age=300"}
    )


def as_json(seen: Overview) -> bytes:
    """An overview as JSON: times in RFC 3339, seconds, dollars, ratios; what is not known is null."""
    values = {field.name: getattr(seen, field.name) for field in fields(seen)}
    body = {"sentence": seen.sentence, "level": seen.level, **values}
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)


async def _look(request: web.Request) -> Overview:
    daemon = request.app[DAEMON]
    return await overview(daemon.store, daemon.runtime, now(request))
