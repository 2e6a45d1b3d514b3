"""What a request costs, from the tokens that the endpoint counted and the time that it took."""

from monitor.config.model import Price
from probes import Result, Usage

#: One dollar per million tokens is a thousand nano-dollars per token.
_NANO_PER_TOKEN = 1_000
_NANO_PER_USD = 1_000_000_000
_SECONDS_PER_HOUR = 3_600


def cost_nano(price: Price | None, usage: Usage, seconds: float = 0.0) -> int | None:
    """What a request cost, in nano-dollars; None where the price or a count that it needs is unknown.

    Input that came from a cache and output that was reasoning have prices of their own, where the config
    names them; counts are read as `Usage` defines them, and a part is never more than its whole.

    Args:
        price: The endpoint's; with `per_hour` alone no count is needed.
        usage: What the endpoint counted.
        seconds: How long the request took, for `per_hour`: its cost if it had the machine to itself. Where
            requests share the machine this is an upper figure.
    """
    if price is None:
        return None
    into = _side(usage.input_tokens, usage.cached_tokens, price.input_per_mtok, price.cached_per_mtok)
    out = _side(usage.output_tokens, usage.reasoning_tokens, price.output_per_mtok, price.reasoning_per_mtok)
    if into is None or out is None:
        return None
    hours = max(0.0, seconds) / _SECONDS_PER_HOUR
    return round((into + out) * _NANO_PER_TOKEN + hours * (price.per_hour or 0.0) * _NANO_PER_USD)


def result_nano(price: Price | None, result: Result) -> int | None:
    """What an attempt cost: a failed one has no counts, so only a price per hour knows what it cost."""
    if result.reply is None:
        return cost_nano(price, Usage(), result.elapsed)
    return cost_nano(price, result.reply.usage, result.reply.timings.total)


def _side(
    tokens: int | None, part: int | None, whole_price: float | None, part_price: float | None
) -> float | None:
    """Tokens of one direction times their price, in millionths of a dollar; `part` is the specially priced share."""
    if not whole_price and not part_price:
        return 0.0  # what is free needs no count
    if tokens is None:
        return None
    special = 0 if part_price is None else min(part or 0, tokens)
    return (tokens - special) * (whole_price or 0.0) + special * (part_price or 0.0)
