"""What a config will do: calls, dollars, how soon a drop is seen; and where that is weak."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from monitor import capture
from monitor.cases import Scorers
from monitor.config.model import Config, Endpoint
from monitor.drift import budget, plan
from monitor.measures import MEASURES
from monitor.plugins import Plugins
from monitor.schedule import grid_of
from monitor.watch import Watch, build
from monitor.web.origin import is_loopback
from probes import Case
from rotation import Item

#: The drop that plans speak of.
DROP = 0.05
#: A plan that needs longer to see it is called weak.
_SLOW_DAYS = 2.0
_DAY = timedelta(days=1)
#: Splits the cases somehow, for those who only count them.
ANY_KEY = b"any"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a config will do, as plain rows."""

    endpoints: Sequence[Mapping[str, Any]]
    probes: Sequence[Mapping[str, Any]]
    budget: str


def watches_of(
    config: Config, cases: Mapping[str, Sequence[Case]], plugins: Plugins, split_key: bytes = ANY_KEY
) -> tuple[Watch, ...]:
    """The config's watches, without touching a store.

    Args:
        config: The config.
        cases: Eval set -> its cases.
        plugins: Where scorers are found.
        split_key: The store's own, where it matters which cases are held out.
    """
    items = {name: [Item.of(name, case, split_key) for case in each] for name, each in cases.items()}
    versions = dict.fromkeys(items, 0)
    return build(config, items, versions, scorer=Scorers(plugins, config.endpoints).of, grid=grid_of)


def plan_of(config: Config, watches: Sequence[Watch]) -> Plan:
    """What the config will do."""
    endpoints = [
        {
            "name": name,
            "kind": endpoint.kind,
            "model": getattr(endpoint.settings, "model", None),
            "host": _host(endpoint),
        }
        for name, endpoint in config.endpoints.items()
    ]
    streams = len(watches) * sum(measure.alarms for measure in MEASURES.values())
    told = ""
    if streams:
        watched = len({watch.endpoint for watch in watches})
        allowed = config.false_alarms
        told = budget.sentence(streams, watched, allowed.at_most, allowed.per / _DAY)
    return Plan(endpoints=endpoints, probes=[_row(watch) for watch in watches], budget=told)


def _row(watch: Watch) -> dict[str, Any]:
    calls = watch.grid.per_day * _per_round(watch)
    return {
        "probe": watch.probe,
        "endpoint": watch.endpoint,
        "cases": len(watch.cases),
        "per_round": _per_round(watch),
        "rounds_per_day": watch.grid.per_day,
        "calls_per_day": calls,
        "usd_per_day": _usd_per_day(watch, calls),
        "days_to_see": _days_to_see(watch),
        "capture": str(capture.estimate(watch)),
    }


def _per_round(watch: Watch) -> int:
    return min(watch.cases_per_round, len(watch.cases))


def _usd_per_call(watch: Watch) -> float | None:
    whole = capture.estimate(watch)
    return None if whole.usd is None or not whole.calls else whole.usd / whole.calls


def _usd_per_day(watch: Watch, calls: float) -> float | None:
    each, cap = _usd_per_call(watch), watch.settings.limits.usd_per_day
    if each is None:
        return None
    return min(each * calls, cap) if cap is not None else each * calls


def _days_to_see(watch: Watch) -> float:
    rounds = plan.rounds_to_see(DROP, _per_round(watch), watch.run_lengths["score"])
    return rounds / watch.grid.per_day


def weak_points(config: Config, watches: Sequence[Watch]) -> list[str]:
    """What a person should know before relying on the plan."""
    return [
        *(said for watch in watches for said in _weak_watch(watch)),
        *(said for name, endpoint in config.endpoints.items() for said in _weak_endpoint(name, endpoint)),
        *_weak_whole(config, watches),
    ]


def _weak_watch(watch: Watch) -> Iterator[str]:
    name = f"{watch.endpoint}/{watch.probe}"
    days, per_round = _days_to_see(watch), _per_round(watch)
    if days > _SLOW_DAYS:
        yield (
            f"{name}: {per_round} cases a round: a {DROP * 100:.0f}-point drop takes about {days:,.0f} days "
            "to see; add cases, ask more of them, or ask more often"
        )
    if not watch.baseline.capture:
        yield (
            f"{name}: baseline.capture is false: until `plumbline baseline capture {watch.probe}` has made one, "
            "ADWIN watches, which sees only large changes; all that is said of 5 points is with a baseline"
        )
    if watch.endpoint in watch.judges:
        yield f"{name}: {watch.endpoint} judges its own replies; models favour their own kind, so let another judge"
    limits = watch.settings.limits
    if limits.requests_per_minute is not None:
        takes = timedelta(minutes=per_round / limits.requests_per_minute)
        if takes > watch.interval:
            yield (
                f"{name}: a round of {per_round} takes {takes.total_seconds():.0f} s at "
                f"{limits.requests_per_minute} requests a minute, longer than the time to the next one"
            )
    each = _usd_per_call(watch)
    if each is not None and limits.usd_per_day is not None:
        wanted = each * watch.grid.per_day * per_round
        if wanted > limits.usd_per_day:
            yield (
                f"{name}: may need up to ${wanted:,.2f} a day, more than limits.usd_per_day; "
                "rounds after the cap ask nothing"
            )


def _weak_endpoint(name: str, endpoint: Endpoint) -> Iterator[str]:
    settings = endpoint.settings
    url = urlsplit(str(getattr(settings, "url", "")))
    keys = getattr(settings, "api_key", None) or getattr(settings, "headers", None)
    if url.scheme == "http" and keys and not is_loopback(url.hostname or ""):
        yield f"endpoints.{name}.url: the key travels unencrypted; use https"


def _weak_whole(config: Config, watches: Sequence[Watch]) -> Iterator[str]:
    far = [
        name
        for name, endpoint in config.endpoints.items()
        if (host := _host(endpoint)) and not is_loopback(host)
    ]
    if far and not config.uplink.targets:
        yield (
            "uplink.targets is empty: a name that does not resolve is held against an endpoint only while "
            'another one answers; name addresses outside, like ["1.1.1.1:443"]'
        )
    asked = {watch.endpoint for watch in watches}.union(*(watch.judges for watch in watches))
    if unwatched := sorted(config.endpoints.keys() - asked):
        yield f"no probe asks {', '.join(unwatched)}"
    if all(channel.kind == "log" for channel in config.alerts.channels.values()):
        yield "alerts go to the log only; name a channel under alerts.channels"
    if not is_loopback(config.web.host):
        yield (
            f"web.listen is {config.web.listen}, which others can reach: it starts only with a token "
            "(`plumbline token create NAME --scope read`)"
        )
        outside = config.web.external_url
        if config.web.tls is None and (outside is None or urlsplit(str(outside)).scheme != "https"):
            yield (
                "web.listen can be reached by others in the clear, tokens included; give web.tls a certificate, or "
                "put a proxy with https before it and name it in web.external_url"
            )


def _host(endpoint: Endpoint) -> str | None:
    return urlsplit(str(getattr(endpoint.settings, "url", ""))).hostname
