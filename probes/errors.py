"""Errors of the floor that asks and scores.

ProbeError
├── EndpointError            the attempt got no usable reply; `outcome` says which way
│   ├── EndpointTimeout          connected, but no whole reply before the deadline
│   ├── ConnectionRefused        nothing listens there
│   ├── ConnectionReset          the connection broke before the reply was whole
│   ├── TlsFailed                no trusted encryption
│   ├── ServerFailed             the endpoint answered with an error of its own
│   ├── MalformedReply           the answer is not what the protocol promises
│   ├── TruncatedReply           the stream ended before it said that it was complete
│   ├── ReplyTooLarge            the body passed the cap
│   ├── NameNotResolved          DNS gave no address (perhaps our network's fault)
│   ├── ConnectTimeout           no connection in time (perhaps our network's fault)
│   ├── RateLimited              the endpoint asks us to slow down; `retry_after` in seconds if it said
│   └── Misconfigured            key, model or address are wrong: a person must act
└── ScorerError              a scorer cannot work with its settings or this case
"""

from typing import ClassVar

from probes.outcome import Outcome


class ProbeError(Exception):
    """Base of everything this floor raises on purpose."""


class EndpointError(ProbeError):
    """The attempt got no usable reply.

    The message is shown to people: it never holds a key, a header or a prompt.
    """

    outcome: ClassVar[Outcome]

    def __init__(self, detail: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.retry_after = retry_after


class EndpointTimeout(EndpointError):
    """Connected, but no whole reply before the deadline."""

    outcome = Outcome.TIMEOUT


class ConnectionRefused(EndpointError):
    """Nothing listens there."""

    outcome = Outcome.REFUSED


class ConnectionReset(EndpointError):
    """The connection broke before the reply was whole."""

    outcome = Outcome.RESET


class TlsFailed(EndpointError):
    """No trusted encryption."""

    outcome = Outcome.TLS


class ServerFailed(EndpointError):
    """The endpoint answered with an error of its own."""

    outcome = Outcome.SERVER


class MalformedReply(EndpointError):
    """The answer is not what the protocol promises."""

    outcome = Outcome.MALFORMED


class TruncatedReply(EndpointError):
    """The stream ended before it said that it was complete."""

    outcome = Outcome.TRUNCATED


class ReplyTooLarge(EndpointError):
    """The body passed the cap."""

    outcome = Outcome.TOO_LARGE


class NameNotResolved(EndpointError):
    """DNS gave no address."""

    outcome = Outcome.DNS


class ConnectTimeout(EndpointError):
    """No connection in time."""

    outcome = Outcome.CONNECT_TIMEOUT


class RateLimited(EndpointError):
    """The endpoint asks us to slow down."""

    outcome = Outcome.RATE_LIMITED


class Misconfigured(EndpointError):
    """Key, model or address are wrong: a person must act."""

    outcome = Outcome.AUTH


class ScorerError(ProbeError):
    """A scorer cannot work with its settings or this case. The message names the cure."""
