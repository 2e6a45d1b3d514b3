"""How an attempt can end. Every attempt ends in exactly one outcome; its value is also the metric label."""

from enum import StrEnum


class Outcome(StrEnum):
    """One word for the end of an attempt."""

    OK = "ok"
    # The endpoint's own failures: they feed the `errors` stream and never a score.
    TIMEOUT = "timeout"
    REFUSED = "refused"
    RESET = "reset"
    TLS = "tls"
    SERVER = "server"
    MALFORMED = "malformed"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    # Failures that may as well be our own network's.
    DNS = "dns"
    CONNECT_TIMEOUT = "connect_timeout"
    # The endpoint is well and says no.
    RATE_LIMITED = "rate_limited"
    AUTH = "auth"
    # Ours: nothing was learnt about the endpoint.
    CANCELLED = "cancelled"
    DRAINED = "drained"
    LOOP_LAG = "loop_lag"
    STORE_BUSY = "store_busy"
    NO_BUDGET = "no_budget"


#: Failures that are the endpoint's beyond doubt.
ENDPOINT_FAILURES = frozenset(
    {
        Outcome.TIMEOUT,
        Outcome.REFUSED,
        Outcome.RESET,
        Outcome.TLS,
        Outcome.SERVER,
        Outcome.MALFORMED,
        Outcome.TRUNCATED,
        Outcome.TOO_LARGE,
    }
)
#: Failures that are the endpoint's only if our own network was seen working.
NETWORK_FAILURES = frozenset({Outcome.DNS, Outcome.CONNECT_TIMEOUT})
#: Ends that say nothing about the endpoint.
OURS = frozenset(
    {
        Outcome.CANCELLED,
        Outcome.DRAINED,
        Outcome.LOOP_LAG,
        Outcome.STORE_BUSY,
        Outcome.NO_BUDGET,
    }
)
