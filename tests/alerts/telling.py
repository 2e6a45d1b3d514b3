"""Sends notices through a notifier, as the delivery loop would."""

import pytest

from alerts.notification import Notice
from alerts.notifier import Notifier, NotifyError, Receipt


async def tell(notifier: Notifier, *notices: Notice, previous: Receipt | None = None) -> Receipt:
    for notice in notices:
        previous = await notifier.send(notice, previous, again=False)
    assert previous is not None
    return previous


async def failure(
    notifier: Notifier, notice: Notice, previous: Receipt | None = None, again: bool = False
) -> NotifyError:
    with pytest.raises(NotifyError) as caught:
        await notifier.send(notice, previous, again=again)
    return caught.value
