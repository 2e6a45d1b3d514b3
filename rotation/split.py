"""Which side a case is on: open, where people may read it, or held out, where only judges may."""

import hmac
from typing import Literal

from probes.case import Case, content_hash

Split = Literal["open", "held_out"]

OPEN: Split = "open"
HELD_OUT: Split = "held_out"


def split_of(family: str, key: bytes, share: float = 0.2) -> Split:
    """The side of a family, by HMAC-SHA-256 under the store's secret key.

    Nobody without the key can tell or choose a side. Raising `share` only moves families from open to
    held out, never back.

    Args:
        family: What `family_of` gives.
        key: The secret of the store.
        share: The expected part of all families that is held out, 0..1.

    Raises:
        ValueError: The key or the family is empty (the side could be guessed), or the share is outside 0..1.
    """
    if not key:
        raise ValueError("a split needs a secret key")
    if not family:
        raise ValueError("a split needs a family; family_of(case) gives one to every case")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"the held-out share lies in 0..1, not {share!r}")
    position = int.from_bytes(hmac.digest(key, family.encode(), "sha256")[:8])
    return HELD_OUT if position < share * 2**64 else OPEN


def family_of(case: Case) -> str:
    """The case's family, or one that is derived from what its conversation says.

    A derived family is made from the turns alone: system prompt, tools, format, parameters, target, scorers,
    tags and id do not enter, nor do white space and letter case. So variants of one question share a side,
    and a new system prompt or a renamed id never carries a case that people have read over to the held-out
    side. Where only the system prompts differ, all cases are one family: give them a `family` each.
    """
    if case.family:
        return case.family
    turns = [m for m in case.messages if m.role not in ("system", "developer")] or case.messages
    said = [{**turn.as_json(), "content": _plain(turn.content)} for turn in turns]
    return f"turns:{content_hash(said)}"


def _plain(content: object) -> object:
    return " ".join(content.casefold().split()) if isinstance(content, str) else content
