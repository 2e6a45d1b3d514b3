"""Where a request comes from: one of our own pages, or somebody else's."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from aiohttp import web

#: Methods that change nothing.
HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})

#: A path of ours as a browser writes it. What begins with `//` would lead to another host, and dots might.
_LOCAL = re.compile(r"/(?!/)(?!.*//)(?!.*/\.)(?!\.)[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,1000}", re.ASCII)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host; a name other than localhost may be anybody's."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def knows_us(request: web.Request, external_url: str | None) -> bool:
    """Whether the request calls a daemon on loopback by a name that is its own.

    A page of somebody else's whose name was made to lead to this machine cannot choose that name.
    """
    host = _split(f"//{request.host}").hostname or ""
    return is_loopback(host) or (bool(host) and host == _split(external_url or "").hostname)


def from_our_page(request: web.Request, external_url: str | None) -> bool | None:
    """Whether a page of ours sent the request; None where nothing says so, as with what is not a browser."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site")
    if origin is None and site is None:
        return None
    if site not in (None, "same-origin"):
        return False
    if origin in (None, "null"):
        return site == "same-origin"
    ours = {_origin(f"{request.scheme}://{request.host}"), _origin(external_url or "")} - {None}
    return _origin(origin) in ours


def is_over_tls(request: web.Request, external_url: str | None) -> bool:
    """Whether people reach us encrypted, by ourselves or by what stands before us."""
    return request.secure or _split(external_url or "").scheme == "https"


def loses_cookie(request: web.Request, external_url: str | None) -> bool:
    """Whether a browser came in the clear to a daemon whose cookie travels over TLS only, and would not keep it."""
    came = _split(request.headers.get("Origin", ""))
    in_the_clear = came.scheme == "http" and not is_loopback(came.hostname or "")
    return in_the_clear and is_over_tls(request, external_url)


def local_path(written: object) -> str:
    """A path on this host to go on to; `/` for everything else that a stranger may have written."""
    return written if isinstance(written, str) and _LOCAL.fullmatch(written) else "/"


def way_up(request: web.Request) -> str:
    """The way from this page to the root, relative: a proxy may have put us under a path of its own."""
    return "../" * (request.path.count("/") - 1)


def _origin(url: str) -> tuple[str, str] | None:
    parts = _split(url)
    netloc = parts.netloc.lower().removesuffix({"http": ":80", "https": ":443"}.get(parts.scheme, " "))
    return (parts.scheme, netloc) if netloc else None


def _split(url: str) -> SplitResult:
    """The parts of a URL that a stranger wrote; empty ones where it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")
