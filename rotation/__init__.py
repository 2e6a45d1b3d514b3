"""Decides which cases come next, and how eval sets grow. Pure: state, `now` and `rng` in, values out."""

from rotation.case_file import read_cases
from rotation.errors import CaseFileInvalid, CaseProblem, DuplicateKey, RotationError, ScorerRefused
from rotation.eval_set import Diff, Version, diff, next_version
from rotation.pool import Exposure, Item, Pool
from rotation.selection import Panel, Pick, select
from rotation.split import HELD_OUT, OPEN, Split, family_of, split_of

__all__ = [
    "HELD_OUT",
    "OPEN",
    "CaseFileInvalid",
    "CaseProblem",
    "Diff",
    "DuplicateKey",
    "Exposure",
    "Item",
    "Panel",
    "Pick",
    "Pool",
    "RotationError",
    "ScorerRefused",
    "Split",
    "Version",
    "diff",
    "family_of",
    "next_version",
    "read_cases",
    "select",
    "split_of",
]
