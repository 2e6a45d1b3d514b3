"""What can be seen how soon: the Brownian closed form behind the planner and the CUSUM's threshold."""

import math
from collections.abc import Callable
from functools import lru_cache

#: Information of one paired reply about a drop, in nats per squared drop: the pool of detection tables
#: (mean .8, most cases nearly always or nearly never right) has .0031, .0068, .0184 and .0692 for
#: drops of 2, 3, 5 and 10 points, which is this within 7 %.
INFORMATION_PER_SQUARE = 7.3

#: Information of one reply about the change that each detector is designed for, in nats: five points of
#: score; times 1.3 of a latency, where replies vary by .35 on the log scale; failures of 1 % become 5 %.
DESIGNED_FOR = {"paired": 0.0184, "ranks": 0.28, "two-way-ranks": 0.28, "failures": 0.041}


#: Expected overshoot of a discrete walk over each of its two barriers, in standard deviations of one step
#: (Siegmund 1985, section 10.2).
_OVERSHOOT = 0.583


def information_of(detector: str) -> float:
    """Information of one reply about the design change of this detector, in nats; unknown ones as scores."""
    return DESIGNED_FOR.get(detector, DESIGNED_FOR["paired"])


def rounds_to_see(
    drop: float, cases_per_round: int, run_length: float, kl_per_item: float | None = None
) -> float:
    """Rounds until a lasting drop is told, on average, at best.

    The delay of Page's CUSUM in the Brownian limit. It knows no panel larger than the round: where the pool
    is asked whole each round, the number of its cases is what counts.

    Args:
        drop: Fall of the pool's mean, 0..1; 0.05 is five points.
        cases_per_round: Replies in a round.
        run_length: Rounds between false alarms.
        kl_per_item: Information of one reply about this drop, in nats; the standard pool's if None.

    Raises:
        ValueError: A drop, a panel or an information that is not positive, or a run length not above one.
    """
    if not 0.0 < drop <= 1.0 or cases_per_round < 1 or not run_length > 1.0:
        raise ValueError(
            f"nothing to plan: drop {drop!r}, {cases_per_round!r} cases a round, run length {run_length!r}"
        )
    each = INFORMATION_PER_SQUARE * drop * drop if kl_per_item is None else kl_per_item
    if not each > 0.0:
        raise ValueError(f"an information of {each!r} nats a reply: it must be positive")
    information = cases_per_round * each
    height = brownian_height(run_length, information)
    return max(1.0, (math.expm1(-height) + height) / information)


def cases_to_see(
    drop: float, within: float, run_length: float, kl_per_item: float | None = None, most: int = 100_000
) -> int | None:
    """The reverse question: how many cases a round it takes to see a drop within so many rounds.

    Args:
        drop: As for `rounds_to_see`.
        within: Rounds; at least one.
        run_length: As for `rounds_to_see`.
        kl_per_item: As for `rounds_to_see`.
        most: Panels larger than this are not thought of.

    Returns:
        The smallest panel; None where not even `most` are enough.

    Raises:
        ValueError: As for `rounds_to_see`, or less than a round.
    """
    if not within >= 1.0:
        raise ValueError(f"within {within!r} rounds: a round is the least that it takes")
    low, high = 0, most
    if rounds_to_see(drop, high, run_length, kl_per_item) > within:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if rounds_to_see(drop, middle, run_length, kl_per_item) > within:
            low = middle
        else:
            high = middle
    return high


def information_of_drop(drop: float, judge_noise: float = 0.0) -> float:
    """Information of one reply about a common fall in logit of the standard pool, in nats.

    Args:
        drop: Of the pool's mean, 0..1.
        judge_noise: Share of verdicts that a judge flips at random, below .5.

    Raises:
        ValueError: The pool cannot fall so far, or a noise outside 0..5.
    """
    mean = math.fsum(weight * p for p, weight in _pool())
    if not 0.0 < drop < mean:
        raise ValueError(f"a drop of {drop!r}: the standard pool's mean is {mean:.2f}")
    if not 0.0 <= judge_noise < 0.5:
        raise ValueError(f"a judge that flips {judge_noise!r} of its verdicts: it must be below .5")
    low, high = 0.0, 12.0
    for _ in range(50):
        middle = (low + high) / 2.0
        fallen = math.fsum(weight * _shifted(p, middle) for p, weight in _pool())
        low, high = (middle, high) if fallen > mean - drop else (low, middle)
    return _information(lambda p: _shifted(p, high), judge_noise)


def information_of_failures(share: float, judge_noise: float = 0.0) -> float:
    """Information of one reply of the standard pool where this share of all replies fails, in nats."""
    return _information(lambda p: (1.0 - share) * p, judge_noise)


def information_of_routing(share: float, drop: float) -> float:
    """Information of one reply where this share of requests goes to a model weaker by `drop`, in nats."""
    return _information(lambda p: p - share * drop * p * (1.0 - p) / _mean_variance())


def partial_routing(cases_per_round: int, run_length: float) -> str:
    """What quality can say of changes that only some requests meet; one paragraph, at best figures.

    Args:
        cases_per_round: Replies in a round.
        run_length: Rounds between false alarms.
    """

    def rounds(each: float) -> str:
        return f"{rounds_to_see(0.05, cases_per_round, run_length, each):,.0f}"

    many, some, few = (rounds(information_of_failures(share)) for share in (0.16, 0.05, 0.01))
    weaker = rounds(information_of_routing(0.01, 0.2))
    return (
        f"Where only some requests are hit: 16 % failing is seen in {many} rounds at best, 5 % in {some}, "
        f"1 % in {few}. One request in a hundred sent to a model that is 20 points weaker would take {weaker} "
        "rounds: watch the served model's name for that, not its answers."
    )


def brownian_height(run_length: float, information: float) -> float:
    """The h with (e^h - h - 1) / I = run length: the CUSUM's threshold in continuous time.

    Args:
        run_length: Rounds between false alarms.
        information: Of one round, in nats.
    """
    target = run_length * information
    log_target = math.log1p(target)
    # Both bounds lie above the root of a convex function, so Newton's steps fall to it and never pass it.
    height = min(math.sqrt(2.0 * target), log_target + math.log(2.0 + log_target))
    for _ in range(8):
        height -= (math.expm1(height) - height - target) / math.expm1(height)
    return height


def page_threshold(run_length: float, information: float) -> float:
    """The CUSUM's threshold for rounds that come one by one (Siegmund's corrected diffusion).

    The walk overshoots its barriers by 1.166 standard deviations of a round, sqrt(2 I), in sum; never under
    half of the continuous threshold, where the correction is no longer one.

    Args:
        run_length: Rounds between false alarms.
        information: Of one round, in nats.
    """
    height = brownian_height(run_length, information)
    return max(height / 2.0, height - 2.0 * _OVERSHOOT * math.sqrt(2.0 * information))


def _information(after: Callable[[float], float], judge_noise: float = 0.0) -> float:
    """Kullback-Leibler divergence of one reply after a change from one before, over the standard pool."""
    return math.fsum(
        weight * _divergence(_judged(after(p), judge_noise), _judged(p, judge_noise)) for p, weight in _pool()
    )


def _judged(p: float, noise: float) -> float:
    return p + noise * (1.0 - 2.0 * p)


def _divergence(q: float, p: float) -> float:
    return q * math.log(q / p) + (1.0 - q) * math.log((1.0 - q) / (1.0 - p))


def _shifted(p: float, shift: float) -> float:
    odds = p / (1.0 - p) * math.exp(-shift)
    return odds / (1.0 + odds)


def _mean_variance() -> float:
    return math.fsum(weight * p * (1.0 - p) for p, weight in _pool())


@lru_cache(maxsize=1)
def _pool() -> tuple[tuple[float, float], ...]:
    """The standard pool as points and weights: Beta of mean .8 and concentration .5, clipped to .02 and .98.

    Integrated over the logit x, where the density is p^.4 (1 - p)^.1 up to a constant.
    """
    step, found = 0.05, dict[float, float]()
    for index in range(-800, 4_000):
        x = index * step
        p = min(0.98, max(0.02, 1.0 / (1.0 + math.exp(-x))))
        log_density = -0.4 * math.log1p(math.exp(-x)) - 0.1 * _softplus(x)
        found[p] = found.get(p, 0.0) + math.exp(log_density)
    whole = math.fsum(found.values())
    return tuple((p, weight / whole) for p, weight in found.items())


def _softplus(x: float) -> float:
    return x + math.log1p(math.exp(-x)) if x > 0.0 else math.log1p(math.exp(x))
