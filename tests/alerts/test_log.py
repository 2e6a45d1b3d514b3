import logging

import pytest

from alerts.notifiers.log import LogNotifier, LogSettings
from alerts.signal import Severity
from tests.alerts.build import Desk, notice, signal, story


@pytest.mark.parametrize(
    ("kind", "level"),
    [("opened", "ERROR"), ("updated", "DEBUG"), ("worsened", "ERROR"), ("resolved", "INFO")],
)
async def test_each_kind_is_logged_at_its_level(caplog, kind, level):
    caplog.set_level(logging.DEBUG, "plumbline.alert")
    receipt = await LogNotifier(LogSettings()).send(story()[kind], None, again=False)
    (record,) = caplog.records
    assert record.levelname == level
    assert record.getMessage().splitlines()[0].split()[1] == "support-bot" + ":" * (kind != "worsened")
    assert receipt.channel == "oncall"


@pytest.mark.parametrize(("severity", "level"), [("warning", "WARNING"), ("info", "INFO")])
async def test_a_lesser_severity_is_logged_at_a_lesser_level(caplog, severity, level):
    caplog.set_level(logging.DEBUG, "plumbline.alert")
    (opened,) = Desk().see(signal(severity=Severity(severity)))
    await LogNotifier(LogSettings()).send(notice(opened), None, again=False)
    assert caplog.records[0].levelname == level
