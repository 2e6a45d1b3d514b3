"""What a reply costs, from the tokens that the endpoint counted."""

from monitor.config.model import Price
from probes import Usage

#: One dollar per million tokens is a thousand nano-dollars per token.
_NANO_PER_TOKEN = 1_000


def cost_nano(price: Price | None, usage: Usage) -> int | None:
    """What a reply cost, in nano-dollars; None where the price or a count is unknown."""
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    per_input, per_output = price.input_per_mtok * _NANO_PER_TOKEN, price.output_per_mtok * _NANO_PER_TOKEN
    return round(usage.input_tokens * per_input + usage.output_tokens * per_output)
