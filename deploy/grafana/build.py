"""Writes the dashboard: `python deploy/grafana/build.py > deploy/grafana/dashboards/plumbline.json`.

State gauges are the same on every replica (`max by`), counters belong to one process (`sum by`). Probes ask
seldom: rates go over `$window`, which a person chooses, not over Grafana's `$__rate_interval`. The file is
long because the dashboard is; it is one list of panels behind a few words for queries.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

Panel = dict[str, Any]
#: An expression and the legend of its series.
Query = tuple[str, str]

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WHAT = 'endpoint=~"$endpoint",source=~"$source"'
_BOT = 'endpoint=~"$endpoint"'
_PROBE = "endpoint, source"
_STREAM = "endpoint, source, measure"


def _legend(by: str) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in by.split(", ") if label)


def state(name: str, by: str, labels: str = "") -> Query:
    """A state gauge, once for all replicas."""
    return f"max by ({by}) (plumbline_{name}{{{labels}}})", _legend(by)


def counted(name: str, by: str, labels: str = "") -> Query:
    """How often something was counted."""
    return f"sum by ({by}) (increase(plumbline_{name}_total{{{labels}}}[$window]))", _legend(by)


def mean(name: str, by: str, labels: str) -> Query:
    """Sum over count of a summary or histogram."""
    total, count = (
        f"sum by ({by}) (rate(plumbline_{name}_{end}{{{labels}}}[$window]))" for end in ("sum", "count")
    )
    return f"{total} / {count}", _legend(by)


def quantiles(name: str, by: str = "", labels: str = "") -> list[Query]:
    """The median and the 95th percentile of a histogram, by one label or over everything."""
    grouped = f"{by}, le" if by else "le"
    rate = f"sum by ({grouped}) (rate(plumbline_{name}_bucket{{{labels}}}[$window]))"
    return [
        (f"histogram_quantile({q}, {rate})", f"{_legend(by)} {called}".strip())
        for q, called in ((0.5, "p50"), (0.95, "p95"))
    ]


def _steps(first: str, *then: tuple[float, str]) -> dict[str, Any]:
    steps = [{"color": first, "value": None}, *({"color": color, "value": at} for at, color in then)]
    return {"mode": "absolute", "steps": steps}


def _words(*words: tuple[int, str, str]) -> list[dict[str, Any]]:
    options = {
        str(value): {"text": text, "color": color, "index": n} for n, (value, text, color) in enumerate(words)
    }
    return [{"type": "value", "options": options}]


_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True}
_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "stat": {
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "value_and_name",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "state-timeline": {
        "mergeValues": True,
        "rowHeight": 0.8,
        "showValue": "never",
        "legend": _LEGEND,
        "tooltip": {"mode": "single", "sort": "none"},
    },
}
_BARS = {
    "drawStyle": "bars",
    "fillOpacity": 80,
    "lineWidth": 0,
    "stacking": {"mode": "normal", "group": "A"},
}
_VERDICTS: dict[str, Any] = {
    "mappings": _words(
        (-1, "learning", "blue"), (0, "steady", "green"), (1, "suspect", "yellow"), (2, "changed", "red")
    ),
    "steps": _steps("blue", (0, "green"), (1, "yellow"), (2, "red")),
}


def panel(
    title: str,
    *queries: Query,
    unit: str = "short",
    kind: str = "timeseries",
    text: str = "",
    steps: dict[str, Any] | None = None,
    **defaults: Any,
) -> Panel:
    """One panel; `steps` colour it or draw dashed lines, `defaults` go to its field defaults."""
    if kind == "timeseries":
        line = {"showPoints": "auto"} | ({"thresholdsStyle": {"mode": "dashed"}} if steps else {})
        defaults["custom"] = line | defaults.get("custom", {})
    now = kind == "stat"
    return {
        "title": title,
        "description": text,
        "type": kind,
        "datasource": _SOURCE,
        "targets": [
            {
                "datasource": _SOURCE,
                "expr": expr,
                "legendFormat": legend,
                "refId": chr(ord("A") + n),
                "instant": now,
                "range": not now,
            }
            for n, (expr, legend) in enumerate(queries)
        ],
        "fieldConfig": {
            "defaults": {"unit": unit, "thresholds": steps or _steps("green"), **defaults},
            "overrides": [],
        },
        "options": _OPTIONS[kind],
    }


def bars(title: str, *queries: Query, unit: str = "short", text: str = "") -> Panel:
    """Counts in each window, on top of each other."""
    return panel(title, *queries, unit=unit, text=text, custom=_BARS)


def seconds(title: str, *queries: Query, **more: Any) -> Panel:
    """Durations, from zero."""
    return panel(title, *queries, unit="s", min=0, **more)


def effect(title: str, measures: str, text: str) -> Panel:
    """The estimated change, between the dashed ends of its interval."""
    ends = [
        (expr, legend + called)
        for name, called in (("effect", ""), ("effect_low", " low"), ("effect_high", " high"))
        for expr, legend in [state(f"{name}_ratio", _STREAM, f'{_WHAT},measure=~"{measures}"')]
    ]
    made = panel(title, *ends, unit="percentunit", text=text)
    dashed = {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [4, 4]}}
    ends_only = {"id": "byRegexp", "options": "/ (low|high)$/"}
    made["fieldConfig"]["overrides"] = [{"matcher": ends_only, "properties": [dashed]}]
    return made


def fleet() -> list[Panel]:
    """What is watched, and how it stands."""
    verdict, legend = state("verdict", _STREAM, _WHAT)
    incidents, _ = state("incidents_open", "severity, acknowledged")
    return [
        panel(
            "Endpoints by their worst verdict",
            (f"max by (endpoint) ({verdict})", "{{endpoint}}"),
            kind="stat",
            **_VERDICTS,
        ),
        panel(
            "Open incidents",
            (f"sum by (severity) ({incidents})", "{{severity}}"),
            kind="stat",
            steps=_steps("green", (1, "red")),
        ),
        panel("Verdicts", (verdict, legend), kind="state-timeline", **_VERDICTS),
        panel(
            "Evidence of a change",
            state("evidence_ratio", _STREAM, _WHAT),
            text="1 is an alarm; how often chance may reach it is false_alarms in the config.",
            steps=_steps("green", (1, "red")),
            min=0,
        ),
        effect(
            "Change of score and errors",
            "score|errors",
            "Difference to the baseline, with its 95 % interval.",
        ),
        effect(
            "Change of speed and length",
            "latency|time_to_first_token|output_tokens",
            "Relative to the baseline, with its 95 % interval: 30 % is 1.3 times as much.",
        ),
    ]


def replies() -> list[Panel]:
    """Quality and speed of what the endpoints say."""
    failed, asked = (
        f"sum by (endpoint) (rate(plumbline_{name}_total{{{_BOT}}}[$window]))"
        for name in ("request_failures", "requests")
    )
    return [
        panel(
            "Mean score",
            mean("score", "endpoint, source, scorer", _WHAT),
            unit="percentunit",
            text="Of the panels as asked: easy and hard ones take turns. The verdicts compare case by case.",
            min=0,
            max=1,
        ),
        seconds("Whole replies", *quantiles("request_duration_seconds", "endpoint", _BOT)),
        seconds("Time to first token", *quantiles("time_to_first_token_seconds", "endpoint", _BOT)),
        seconds("Time per output token", mean("time_per_output_token_seconds", "endpoint", _BOT)),
        bars(
            "Failures by reason",
            counted("request_failures", "reason", _BOT),
            text="Attempts without a usable reply.",
        ),
        panel("Share of failures", (f"{failed} / {asked}", "{{endpoint}}"), unit="percentunit", min=0),
        bars(
            "Unscored by reason",
            counted("unscored", "reason", _WHAT),
            text="Replies without a score, and attempts that ended for a reason of our own.",
        ),
        bars("Changes of the served model", counted("model_changes", "endpoint, kind", _BOT)),
    ]


def money() -> list[Panel]:
    """What the watching costs, and how much of it happened."""
    return [
        bars("Spent", counted("spend_usd", "endpoint, purpose", _WHAT), unit="currencyUSD"),
        panel(
            "Left of today's budget",
            state("budget_remaining_usd", "scope"),
            unit="currencyUSD",
            text="Neither spent nor set aside; only where the config has a cap. A day ends at midnight UTC.",
            steps=_steps("red", (0.01, "green")),
        ),
        bars("Tokens", counted("tokens", "endpoint, direction", _BOT)),
        bars("Rounds by outcome", counted("rounds", "outcome", _WHAT)),
    ]


def telling() -> list[Panel]:
    """Alarms, incidents and messages."""
    sent, _ = counted("notifications", "channel")
    failed, _ = counted("notifications_failed", "channel, reason")
    waiting, _ = state("notification_queue_length", "channel")
    oldest = "time() - min by (channel) (plumbline_notification_oldest_timestamp_seconds)"
    return [
        bars("Alarms", counted("alarms", "endpoint, measure, direction", _WHAT)),
        bars("Steps of incidents", counted("incident_transitions", "transition")),
        panel(
            "Messages",
            (sent, "{{channel}} sent"),
            (failed, "{{channel}} failed: {{reason}}"),
            (waiting, "{{channel}} waiting"),
        ),
        seconds(
            "How long messages take",
            *quantiles("notification_latency_seconds", "channel"),
            (oldest, "{{channel}} oldest waiting"),
        ),
    ]


def itself() -> list[Panel]:
    """Whether Plumbline can do its job."""
    last, legend = state("probe_last_success_timestamp_seconds", _PROBE, _WHAT)
    interval, _ = state("probe_interval_seconds", _PROBE, _WHAT)
    baseline, _ = state("baseline_timestamp_seconds", _PROBE, _WHAT)
    taken_over, _ = counted("claims_expired", "kind")
    return [
        seconds("Closing transactions", *quantiles("store_write_seconds")),
        panel(
            "Store, config, network",
            ("min(plumbline_store_up)", "store"),
            ("min(plumbline_config_last_reload_successful)", "config"),
            ("min(plumbline_uplink_up)", "network"),
            kind="stat",
            mappings=_words((0, "not well", "red"), (1, "well", "green")),
            steps=_steps("red", (1, "green")),
        ),
        panel(
            "Daemons and their configs",
            ("sum by (version) (plumbline_build_info)", "daemons of {{version}}"),
            ('count(count_values("config", plumbline_config_hash))', "different configs"),
            kind="stat",
            text="Replicas must run one config.",
        ),
        panel(
            "Age of the last good round, in intervals",
            (f"(time() - {last}) / {interval}", legend),
            text="Above 2.5 a probe is overdue.",
            steps=_steps("green", (2.5, "red")),
            min=0,
        ),
        seconds(
            "Event loop lag",
            ("max by (instance) (plumbline_event_loop_lag_seconds)", "{{instance}}"),
            text="Above 250 ms latencies mean little, and attempts at their deadline count for nobody.",
            steps=_steps("green", (0.25, "red")),
        ),
        seconds("Lateness of slots", *quantiles("slot_lateness_seconds")),
        panel("Size of the store", state("store_bytes", "table"), unit="bytes", min=0),
        bars(
            "Our own failures",
            counted("background_errors", "task"),
            (taken_over, "{{kind}} taken over"),
        ),
        panel("Age of the baseline", (f"time() - {baseline}", legend), unit="s", kind="stat"),
        panel(
            "Share of the pool that was asked",
            state("pool_coverage_ratio", _PROBE, _WHAT),
            unit="percentunit",
            kind="stat",
        ),
    ]


def _placed(rows: Sequence[tuple[str, list[Panel]]]) -> list[Panel]:
    """Two panels side by side, each row of the page under its heading."""
    placed: list[Panel] = []
    y = 0
    for title, panels in rows:
        heading = {"type": "row", "title": title, "collapsed": False, "panels": []}
        placed.append({**heading, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y += 1
        for n, each in enumerate(panels):
            placed.append({**each, "gridPos": {"x": 12 * (n % 2), "y": y, "w": 12, "h": 8}})
            if n % 2 or n == len(panels) - 1:
                y += 8
    return [{"id": n, **each} for n, each in enumerate(placed, 1)]


def _known(name: str, label: str, query: str) -> dict[str, Any]:
    """A variable whose values Prometheus knows; all of them at first."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def _variables() -> list[dict[str, Any]]:
    windows = ["5m", "15m", "1h", "6h", "1d"]
    page = "http://127.0.0.1:8484"
    probes = 'plumbline_probe_interval_seconds{endpoint=~"$endpoint"}'
    return [
        {
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
            "refresh": 1,
        },
        _known("endpoint", "Endpoint", "label_values(plumbline_probe_interval_seconds, endpoint)"),
        _known("source", "Probe", f"label_values({probes}, source)"),
        {
            "name": "window",
            "label": "Window of rates",
            "description": "Several rounds must fit into it.",
            "type": "custom",
            "query": ",".join(windows),
            "options": [{"text": each, "value": each, "selected": each == "1h"} for each in windows],
            "current": {"text": "1h", "value": "1h", "selected": True},
        },
        {
            "name": "page",
            "label": "Plumbline's page",
            "type": "textbox",
            "query": page,
            "current": {"text": page, "value": page},
        },
    ]


def dashboard() -> dict[str, Any]:
    """The whole dashboard, as Grafana reads it from a file."""
    rows = [
        ("Endpoints", fleet()),
        ("Replies", replies()),
        ("Money and rounds", money()),
        ("Alarms, incidents, messages", telling()),
        ("Plumbline itself", itself()),
    ]
    link = {"title": "Plumbline's page", "type": "link", "url": "${page}", "icon": "external link"}
    return {
        "uid": "plumbline",
        "title": "Plumbline",
        "description": "The deployed LLM endpoints that Plumbline watches, and Plumbline itself.",
        "tags": ["plumbline", "llm"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "",
        "links": [{**link, "targetBlank": True, "tags": []}],
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": _placed(rows),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dashboard(), indent=2) + "\n")
