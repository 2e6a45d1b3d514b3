"""`/metrics`: what this process counted, and what the store says of the whole."""

import asyncio
import gzip

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted

from monitor.web.daemon import DAEMON, GAUGES


async def metrics(request: web.Request) -> web.Response:
    """Prometheus text or OpenMetrics, as the scraper asks; written in a thread, for it takes a while."""
    await request.app[GAUGES].refresh()
    registry = request.app[DAEMON].world.metrics.registry
    packed = gzip_accepted(request.headers.get("Accept-Encoding", ""))
    body, kind = await asyncio.to_thread(_written, registry, request.headers.get("Accept", ""), packed)
    headers = {"Content-Type": kind, "Vary": "Accept, Accept-Encoding", "Cache-Control": "no-store"}
    return web.Response(body=body, headers=headers | ({"Content-Encoding": "gzip"} if packed else {}))


def _written(registry: CollectorRegistry, accept: str, packed: bool) -> tuple[bytes, str]:
    encode, kind = choose_encoder(accept)
    body = encode(registry)
    return gzip.compress(body, compresslevel=1) if packed else body, kind
