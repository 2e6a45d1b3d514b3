"""What can be seen how soon: the Brownian closed form behind the planner and the CUSUM's threshold."""

import math

#: Information of one paired reply about a drop, in nats per squared drop: the pool of detection tables
#: (mean .8, most cases nearly always or nearly never right) has .0031, .0068, .0184 and .0692 for
#: drops of 2, 3, 5 and 10 points, which is this within 7 %.
INFORMATION_PER_SQUARE = 7.3

#: Expected overshoot of a discrete walk over each of its two barriers, in standard deviations of one step
#: (Siegmund 1985, section 10.2).
_OVERSHOOT = 0.583


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
