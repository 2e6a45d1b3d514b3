"""Alive, ready, reload: what supervisors and scripts ask."""

import orjson
from aiohttp import web

from monitor.config.problem import ConfigInvalid
from monitor.web.access import GUARD, visitor_of
from monitor.web.daemon import DAEMON
from rotation import CaseFileInvalid


async def healthy(_request: web.Request) -> web.Response:
    """200 while the event loop turns."""
    return web.Response(text="ok\n")


async def ready(request: web.Request) -> web.Response:
    """200 when we can do our job, else 503; one line, or one JSON object, for each thing that it needs."""
    checks = await request.app[DAEMON].ready()
    status = 200 if all(check.ok for check in checks) else 503
    if "application/json" in request.headers.get("Accept", ""):
        said = [
            {"name": check.name, "ok": check.ok, "why": "" if check.ok else check.why} for check in checks
        ]
        body = orjson.dumps({"ready": status == 200, "checks": said})
        return web.Response(body=body, status=status, content_type="application/json")
    lines = [f"ok   {check.name}" if check.ok else f"FAIL {check.name}: {check.why}" for check in checks]
    return web.Response(text="\n".join(lines) + "\n", status=status)


async def reload(request: web.Request) -> web.Response:
    """Takes the config file over again; 400 with every problem where it is wrong, and the old one stays."""
    try:
        said = await request.app[DAEMON].reload()
    except (ConfigInvalid, CaseFileInvalid) as error:
        lines = [*(str(problem) for problem in error.problems), "the config that was running stays"]
        return web.Response(text="\n".join(lines) + "\n", status=400)
    visitor = visitor_of(request)
    await request.app[GUARD].audit(request, "reload", "config", token=visitor.token if visitor else None)
    return web.Response(text="\n".join(said or ["nothing changed"]) + "\n")
