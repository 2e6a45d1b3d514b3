from datetime import timedelta

import pytest

from alerts.notifiers.slack import SlackNotifier, SlackSettings
from tests.alerts.build import START
from tests.fakes.slack import FakeSlack


@pytest.fixture
async def slack():
    async with FakeSlack(clock=lambda: (START + timedelta(minutes=100)).timestamp()) as server:
        yield server


@pytest.fixture
async def notifier(slack):
    made = SlackNotifier(SlackSettings(**slack.settings(timeout=5)))
    yield made
    await made.close()
