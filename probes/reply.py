"""What goes out to an endpoint and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from probes.case import JsonObject, Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One question to one endpoint. `timeout` is the whole attempt's deadline in seconds."""

    messages: tuple[Message, ...]
    tools: tuple[JsonObject, ...] = ()
    format: JsonObject | None = None
    params: JsonObject = field(default_factory=dict)
    timeout: float = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Timings:
    """Seconds on the monotonic clock, as the caller felt them; None where not seen.

    A reused connection has no `dns` and no `connect`: latencies of new and of reused connections are
    two populations, so `reused` says which one this is.
    """

    total: float
    first_token: float | None = None
    between_tokens: float | None = None
    dns: float | None = None
    connect: float | None = None
    reused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens as the endpoint counted them; None where it did not say.

    One convention for every protocol: `input_tokens` are all that were read, those from a cache included;
    `output_tokens` are all that were written, reasoning included. A client whose protocol counts otherwise
    adds up.

    Attributes:
        input_tokens: All input.
        output_tokens: All output.
        cached_tokens: The part of the input that was read from a cache.
        reasoning_tokens: The part of the output that was reasoning.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A whole answer. `served_model` and `fingerprint` are what the endpoint says it ran.

    `headers` are those of the answer that the config chose to keep as part of its identity, by their names
    in small letters.
    """

    text: str
    timings: Timings
    usage: Usage = Usage()
    finish_reason: str | None = None
    tool_calls: tuple[JsonObject, ...] = ()
    served_model: str | None = None
    fingerprint: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
