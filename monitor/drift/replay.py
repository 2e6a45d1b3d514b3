"""What a step changes in the reference, and the fold of a whole history."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from monitor.drift.detector import Detector, Reference, Round, State, Step

#: Residuals that a stream's reference holds.
RESIDUALS_HELD = 2_000


def apply(reference: Reference, step: Step, cap: int = RESIDUALS_HELD) -> Reference:
    """The reference after a step: learnt cases replaced, residuals appended until there are `cap`."""
    if not step.learned and not step.residuals:
        return reference
    return Reference(
        prior=reference.prior,
        cases={**reference.cases, **step.learned},
        residuals=(*reference.residuals, *step.residuals)[:cap],
    )


def refitted(detector: Detector, reference: Reference, step: Step) -> Reference:
    """The reference with its pool fitted again, where the step asks for it; it must hold every case."""
    refit: Callable[[Reference], Mapping[str, float]] | None = getattr(detector, "refit", None)
    return replace(reference, prior=refit(reference)) if step.refit and refit is not None else reference


def replay(
    detector: Detector, state: State, reference: Reference, rounds: Iterable[Round]
) -> tuple[State, Reference]:
    """The state and the reference after these rounds, exactly as the daemon reaches them one by one."""
    for round in rounds:
        step = detector.update(state, reference, round)
        state, reference = step.state, refitted(detector, apply(reference, step), step)
    return state, reference
