"""The demo as a user runs it: a process, and what its terminal shows."""

import os
import re
import signal
import subprocess
import sys

import pytest

from monitor.cli.ending import Refused
from monitor.demo.stage import wish_of
from tests.fakes.llm import FakeLLM
from tests.monitor.cli.conftest import on_a_thread

CLEAN = {
    key: value for key, value in os.environ.items() if not key.startswith(("DEMO_", "PLUMBLINE_", "SEED"))
}


def start(**environ):
    return subprocess.Popen(
        [sys.executable, "-m", "monitor", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**CLEAN, "PYTHONUNBUFFERED": "1", **environ},
    )


def test_the_story_is_told_from_baseline_to_truth():
    with start(SEED="7", DEMO_FAULT="down", DEMO_FAULT_AFTER="100", DEMO_EXIT="1") as demo:
        out, _ = demo.communicate(timeout=110)
    assert demo.returncode == 0, out
    parts = [
        r"answers at http://127\.0\.0\.1:\d+ \(seed 7\)",
        r"config  /\S+/plumbline\.yaml",
        r"page    http://127\.0\.0\.1:\d+/",
        r"capturing baseline version 1: 120 calls \(40 cases\), at most \$",
        r"baseline version 1 captured from 120 replies, score \S+ \(.* n 120\), accepted by config",
        r"simulator/demo-quality complete, 20/20 answered",
        r"DETECTED errors up",
        r"evidence      \S+ nats; \S+ were needed",
        r"effect        \S+ points \(.* n \d+\), 95 % interval",
        r"false alarms  this stream may raise one in 114 days",
        r"on-call reads:\n  \| CRITICAL simulator[^\n]*: endpoint down: \d+ of \d+ attempts failed",
        r"the simulator is healed",
        r"\| RESOLVED simulator: recovered after",
        r"The truth, as the simulator tells it \(seed 7\)",
        r"fault   down: every connection was broken off",
        r"told    .* after the fault began",
    ]
    assert re.search(".*".join(parts), out, re.DOTALL), out
    assert "\x1b" not in out  # this is no terminal
    (config,) = re.findall(r"config  (\S+)", out)
    assert not os.path.exists(config)


def test_another_endpoint_is_watched_until_ctrl_c_and_nothing_is_simulated():
    with on_a_thread(FakeLLM(default_answer="Paris")) as fake:
        environ = {
            "PLUMBLINE_DEMO_URL": fake.url,
            "PLUMBLINE_DEMO_MODEL": "m",
            "PLUMBLINE_DEMO_API_KEY": "k-1",
        }
        with start(**environ) as demo:
            said = ""
            for line in demo.stdout:
                said += line
                if "captured from 120 replies" in line:
                    break
            demo.send_signal(signal.SIGINT)
            rest, _ = demo.communicate(timeout=60)
        assert (demo.returncode, "simulated endpoint" in said, "k-1" in said + rest) == (0, False, False)
        assert fake.requests[0].headers["Authorization"] == "Bearer k-1"


@pytest.mark.parametrize(
    "environ",
    [{"DEMO_FAULT": "flood"}, {"SEED": "x"}, {"PLUMBLINE_DEMO_URL": "http://127.0.0.1:1/v1"}],
    ids=lambda environ: next(iter(environ)),
)
def test_a_wish_that_cannot_be_understood_is_refused(environ):
    with pytest.raises(Refused) as refused:
        wish_of(environ)
    assert refused.value.code == 2


def test_a_seed_is_drawn_where_none_is_given():
    assert wish_of({"SEED": ""}).seed >= 0
    assert (wish_of({"SEED": "5"}).seed, wish_of({}).fault, wish_of({"DEMO_EXIT": "1"}).leave) == (
        5,
        "auto",
        True,
    )
