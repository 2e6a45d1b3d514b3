"""Row 2: how far our measured times are from the endpoint's own, at 200 requests a second in flight."""

import json
from collections.abc import Iterator

from bench import bare
from bench.probe_path import walked
from bench.processes import post, said, started
from bench.row import Row, Target, middle, quantile

PER_SECOND = 200
CASES = 800
ROUNDS = 5
#: The endpoint's seconds to its first content and from there to the end, each varied by a third.
FIRST, REST, SPREAD = 0.05, 0.05, 0.33

_TARGET = Target(sense="<=", must=2.0, aim=1.0, of="measured")

#: Milliseconds of error, per attempt.
Errors = dict[str, list[float]]


def _errors(measured: list[tuple[str, float | None, float]], url: str) -> Errors:
    """What was added to the server's own times: its stamps are on the same monotonic clock as ours.

    The server's span begins when it has read our request's head and ends when it hands over the last bytes; all else
    (both ways through the kernel, both event loops) counts as our error.
    """
    spans = {prompt: (first - seen, sent - seen) for prompt, seen, first, sent in post(f"{url}/bench/stamps")}
    found: Errors = {"time to first token": [], "latency": []}
    for prompt, first_token, total in measured:
        first, whole = spans[prompt]
        if first_token is None:
            raise RuntimeError(f"{prompt} was measured without a first token")
        found["time to first token"].append((first_token - first) * 1000)
        found["latency"].append((total - whole) * 1000)
    return found


def _bare(url: str) -> Errors:
    order = {"mode": "paced", "url": url, "cases": CASES, "per_second": PER_SECOND}
    return _errors(said(bare.__name__, json.dumps(order))["measured"], url)


def _ours(url: str, seed: int) -> Errors:
    done = walked("manual", url, "sqlite", seed, cases=CASES, concurrency=64, per_minute=PER_SECOND * 60)
    return _errors(done["measured"], url)


def run(seed: int) -> Iterator[Row]:
    """Measures; gives each row as it is known."""
    theirs: list[Errors] = []
    mine: list[Errors] = []
    with started("bench.server") as url:
        for n in range(ROUNDS):
            pace = {"first": FIRST, "rest": REST, "spread": SPREAD, "seed": seed + n}
            post(f"{url}/bench/pace", pace)
            theirs.append(_bare(url))
            post(f"{url}/bench/pace", pace)
            mine.append(_ours(url, seed))
    for what in ("latency", "time to first token"):
        for share in (0.5, 0.99):
            ours = [quantile(errors[what], share) for errors in mine]
            bare_ones = [quantile(errors[what], share) for errors in theirs]
            yield Row(
                bench="fidelity",
                what=f"error added to {what} at {PER_SECOND}/s: p{share * 100:.0f}",
                unit="ms",
                measured=middle(ours),
                baseline=middle(bare_ones),
                baseline_what="bare streamed aiohttp loop",
                ratio=middle(ours) / middle(bare_ones),
                target=_TARGET if share == 0.99 else None,
                samples=ours,
            )
