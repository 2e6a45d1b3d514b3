"""What the scorers share: where their work is done, what they compare with, how they quote."""

import asyncio
from collections.abc import Callable

from probes.case import Case
from probes.errors import ScorerError
from probes.reply import Reply
from probes.scorer import Score

#: Characters; judging a longer reply could hold up the event loop for milliseconds.
LONG = 64 * 1024
_QUOTED = 200


async def judge(work: Callable[[Case, str], Score], case: Case, reply: Reply) -> Score:
    """Does a scorer's work on the reply's text, in a thread where the text is long."""
    if len(reply.text) > LONG:
        return await asyncio.to_thread(work, case, reply.text)
    return work(case, reply.text)


def targets_of(case: Case) -> tuple[str, ...]:
    """The case's accepted answers.

    Raises:
        ScorerError: It has none.
    """
    if not case.targets:
        raise ScorerError(f"case {case.id} has no target; give it one, or use a scorer that needs none")
    return case.targets


def quote(text: str) -> str:
    """A short, printable piece of a reply, fit for evidence that is stored and shown."""
    return "".join(filter(str.isprintable, text[:_QUOTED]))
