"""What tests of the daemon's rooms may ask for."""

import pytest


@pytest.fixture(params=["reload", "restart"])
def how(request: pytest.FixtureRequest) -> str:
    """How a changed config comes into force."""
    return str(request.param)
