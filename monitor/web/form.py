"""What our forms send, and how they prove that they are ours."""

from urllib.parse import parse_qsl

from aiohttp import web

_TYPE = "application/x-www-form-urlencoded"
#: Where a request by cookie carries what stands in the pages of its session: a field, or a header.
_FIELD, _HEADER = "csrf", "X-CSRF-Token"
_MOST_FIELDS = 16


async def fields(request: web.Request) -> dict[str, str]:
    """The fields of one of our forms; none where it is something else, whatever a stranger wrote."""
    if request.content_type != _TYPE:
        return {}
    text = (await request.read()).decode(errors="replace")
    try:
        return dict(parse_qsl(text, max_num_fields=_MOST_FIELDS))
    except ValueError:
        return {}


async def proof(request: web.Request) -> str:
    """What the request says to be of a page of its session; empty where it says nothing."""
    return request.headers.get(_HEADER) or (await fields(request)).get(_FIELD, "")
