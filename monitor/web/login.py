"""The login: a person trades a token for a session, and ends it again."""

import asyncio

from aiohttp import web

from monitor.web import form, pages
from monitor.web.access import GUARD, Visitor, visitor_of
from monitor.web.daemon import DAEMON
from monitor.web.origin import local_path, loses_cookie

_PAGE = pages.environment().get_template("login.html")


async def show(request: web.Request) -> web.Response:
    """The page that asks for a token; where none is needed, the way on."""
    guard, next = request.app[GUARD], local_path(request.query.get("next", ""))
    if await guard.asks_nobody():
        return _go(next)
    return await _page(await guard.logged_in(request), next)


async def log_in(request: web.Request) -> web.Response:
    """Opens a session for whoever knows a token."""
    guard, visitor, sent = request.app[GUARD], visitor_of(request), await form.fields(request)
    next, plain = local_path(sent.get("next", "")), sent.get("token", "").strip()
    if await guard.asks_nobody():
        return _go(next)
    people_use = request.app[DAEMON].runtime.config.web.external_url
    if loses_cookie(request, people_use):
        wrong = f"Your browser would not keep you logged in at this address. Use {people_use}"
        return await _page(visitor, next, wrong=wrong, status=400)
    if not plain:
        return await _page(visitor, next, wrong="Paste a token first.", status=400)
    try:
        token = await guard.tokens.recognise(request, plain)
    except web.HTTPTooManyRequests as refused:
        wait = refused.headers["Retry-After"]
        wrong = f"Too many unknown tokens came from your address. Try again in {wait} s."
        return await _page(visitor, next, wrong=wrong, status=429, headers={"Retry-After": wait})
    if token is None:
        wrong = "This token is not known, or was revoked."
        challenge = {"WWW-Authenticate": 'Bearer realm="plumbline", error="invalid_token"'}
        return await _page(visitor, next, wrong=wrong, status=401, headers=challenge)
    await guard.audit(request, "login", "web", token=token)
    answer = _go(next)
    guard.sessions.open(request, answer, token)
    return answer


async def log_out(request: web.Request) -> web.Response:
    """Ends the session in this browser; where there is none, nothing is wrong."""
    guard, visitor = request.app[GUARD], visitor_of(request)
    if visitor is not None:
        await guard.audit(request, "logout", "web", token=visitor.token)
    answer = _go("/login")
    guard.sessions.close(request, answer)
    return answer


async def _page(
    visitor: Visitor | None,
    next: str,
    *,
    wrong: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> web.Response:
    text = await asyncio.to_thread(_PAGE.render, who=visitor, up="", next=next, wrong=wrong)
    return web.Response(text=text, content_type="text/html", status=status, headers=headers)


def _go(path: str) -> web.Response:
    """To a path of ours, from a page that stands right below the root; a proxy may add a path before it."""
    return web.Response(status=303, headers={"Location": f".{path}"})
