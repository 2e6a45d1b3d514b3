"""What the tests of deploy/ share: where it is, and the programs that may be missing on a machine."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "rules"


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`; without it a test is skipped, and fails in CI, which installs it."""
    found = shutil.which(name)
    if found:
        return found
    reason = f"no {name} here; on Debian: apt-get install --no-install-recommends prometheus"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
