"""The numbers on /metrics: one prometheus-client object per name of the contract.

Counters and histograms belong to this process and are fed where things happen. State gauges are read
from the store before each exposition (`monitor.gauges`), so that every replica shows the same.
"""

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Summary,
    disable_created_metrics,
)

from alerts import Reason
from monitor.measures import MEASURES
from monitor.watch import Watch
from probes import OURS, Outcome, Result, Usage

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
ROUND_OUTCOMES = ("complete", "partial", "missed", "overlapped", "no_uplink", "no_budget", "paused")
#: What counts as a failed request; ends that are our own count as unscored.
_FAILURES = tuple(str(outcome) for outcome in Outcome if outcome is not Outcome.OK and outcome not in OURS)
_JUDGE = "judge"
_PURPOSE = {"scheduled": "probe", "manual": "probe", "baseline": "baseline"}
TRANSITIONS = ("opened", "worsened", "updated", "resolved")


class Metrics:
    """Everything this process counts. Construction is cheap; `expect` makes the zeros."""

    def __init__(self, registry: CollectorRegistry, *, version: str, revision: str = "unknown") -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"plumbline_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"plumbline_{name}", text, labels, registry=registry, buckets=_SECONDS)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"plumbline_{name}", text, labels, registry=registry)

        self.registry = registry
        self.build = Info("plumbline_build", "The running program.", registry=registry)
        self.build.info({"version": version, "revision": revision})
        self.watchdog = gauge("watchdog", "Always 1; alert when it is absent.")
        self.watchdog.set(1)
        self.rounds = counter("rounds", "Rounds by how they ended.", "endpoint", "source", "outcome")
        self.requests = counter("requests", "Attempts made.", "endpoint", "source")
        self.failures = counter("request_failures", "Attempts without a usable reply.", "endpoint", "reason")
        self.in_flight = gauge("requests_in_flight", "Attempts under way.", "endpoint")
        self.duration = histogram("request_duration_seconds", "Whole replies.", "endpoint")
        self.first_token = histogram("time_to_first_token_seconds", "First content.", "endpoint")
        self.per_token = Summary(
            "plumbline_time_per_output_token_seconds",
            "Between content chunks.",
            ("endpoint",),
            registry=registry,
        )
        self.tokens = counter("tokens", "Tokens as the endpoint counts them.", "endpoint", "direction")
        self.spend = counter("spend_usd", "Dollars spent.", "endpoint", "source", "purpose")
        self.score = Summary(
            "plumbline_score",
            "Scores; sum over count is the mean.",
            ("endpoint", "source", "scorer", "split"),
            registry=registry,
        )
        self.unscored = counter("unscored", "Replies without a score.", "endpoint", "source", "reason")
        self.lateness = histogram("slot_lateness_seconds", "From a slot to its first request.")
        self.model_changes = counter(
            "model_changes", "Served model or fingerprint changed.", "endpoint", "kind"
        )
        self.alarms = counter(
            "alarms", "Verdicts that became changed.", "endpoint", "source", "measure", "direction"
        )
        self.incident_transitions = counter("incident_transitions", "Steps of incidents.", "transition")
        self.notifications = counter("notifications", "Messages sent.", "channel")
        self.notifications_failed = counter(
            "notifications_failed", "Tries to send that failed.", "channel", "reason"
        )
        self.notification_latency = histogram(
            "notification_latency_seconds", "From the transition to the receipt.", "channel"
        )
        self.reload_ok = gauge("config_last_reload_successful", "1 if the newest config was taken.")
        self.reload_at = gauge(
            "config_last_reload_success_timestamp_seconds", "When a config was last taken."
        )
        self.config_hash = gauge("config_hash", "Hash of the running config; equal over replicas.")
        self.loop_lag = gauge("event_loop_lag_seconds", "How late the event loop was just now.")
        self.store_up = gauge("store_up", "1 if the store answered last time.")
        self.store_write = histogram("store_write_seconds", "Closing transactions.")
        self.uplink_up = gauge("uplink_up", "1 if our own network was seen up at the last check.")
        self.uplink_up.set(1)
        self.claims_expired = counter("claims_expired", "Claims taken over from a silent owner.", "kind")
        self.background_errors = counter("background_errors", "Failures of our own tasks.", "task")

    def expect(self, watches: Iterable[Watch], channels: Iterable[str]) -> None:
        """Makes every label combination that the config allows, at zero, so that the first event is seen."""
        for watch in watches:
            e, s = watch.endpoint, watch.probe
            for outcome in ROUND_OUTCOMES:
                self.rounds.labels(e, s, outcome)
            self.requests.labels(e, s)
            for reason in _FAILURES:
                self.failures.labels(e, reason)
            for direction in ("input", "output"):
                self.tokens.labels(e, direction)
            for purpose in sorted(set(_PURPOSE.values())):
                self.spend.labels(e, s, purpose)
            for judge in watch.judges:
                self.spend.labels(judge, s, _JUDGE)
                self.requests.labels(judge, s)
            for kind in ("model", "fingerprint"):
                self.model_changes.labels(e, kind)
            for scorer in {name for scorers in watch.scorers.values() for name in scorers}:
                for split in ("open", "held_out"):
                    self.score.labels(e, s, scorer, split)
            for family in (self.in_flight, self.duration, self.first_token, self.per_token):
                family.labels(e)
            for measure in watch.run_lengths:
                self.alarms.labels(e, s, measure, MEASURES[measure].worse)
        for transition in TRANSITIONS:
            self.incident_transitions.labels(transition)
        for task in ("round", "beat", "retention", "heartbeat", "delivery"):
            self.background_errors.labels(task)
        for channel in channels:
            for reason in Reason:
                self.notifications_failed.labels(channel, str(reason))
            self.notifications.labels(channel)
            self.notification_latency.labels(channel)
        for kind in ("round", "notification"):
            self.claims_expired.labels(kind)

    def judged(
        self, judge: str, source: str, failed: Outcome | None, usage: Usage, cost_nano: int | None
    ) -> None:
        """Counts one question to a judge, as that endpoint's own."""
        self.requests.labels(judge, source).inc()
        if failed is not None:
            self.failures.labels(judge, str(failed)).inc()
        self._tokens_spent(judge, source, _JUDGE, usage, cost_nano)

    def _tokens_spent(
        self, endpoint: str, source: str, purpose: str, usage: Usage, cost_nano: int | None
    ) -> None:
        for direction, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if count:
                self.tokens.labels(endpoint, direction).inc(count)
        if cost_nano:
            self.spend.labels(endpoint, source, purpose).inc(cost_nano / 1e9)

    def attempt(self, watch: Watch, kind: str, split: str, result: Result, cost_nano: int | None) -> None:
        """Counts one finished attempt."""
        e, s = watch.endpoint, watch.probe
        if result.outcome in OURS:
            self.unscored.labels(e, s, str(result.outcome)).inc()
            return
        self.requests.labels(e, s).inc()
        if result.outcome is not Outcome.OK:
            self.failures.labels(e, str(result.outcome)).inc()
        if result.reply is None:
            return
        timings, usage = result.reply.timings, result.reply.usage
        self.duration.labels(e).observe(timings.total)
        if timings.first_token is not None:
            self.first_token.labels(e).observe(timings.first_token)
        if timings.between_tokens is not None:
            self.per_token.labels(e).observe(timings.between_tokens)
        self._tokens_spent(e, s, _PURPOSE.get(kind, "probe"), usage, cost_nano)
        for name, score in result.scores.items():
            if score.value is not None:
                self.score.labels(e, s, name, split).observe(score.value)
            else:
                self.unscored.labels(e, s, score.reason).inc()
