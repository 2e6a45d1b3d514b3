"""Every client asks a server that others wrote: LiteLLM's proxy, which speaks all our protocols.

Not a part of `make test`, for it installs much and starts slowly; `make third-party` runs it. Behind the proxy
stands our fake, once under its own protocols and once as a server that knows chat completions alone, so that the
proxy translates.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

VENV = Path(__file__).parents[2] / ".venv-third-party"
KEY = "sk-proxy-0123456789"
PATIENCE = 240.0  # seconds; it imports much, and the machine may be busy

CHAT: dict[str, Any] = {"kind": "http", "body": {"model": "{{model}}", "messages": "{{messages}}"}}
ENDPOINTS: dict[str, dict[str, Any]] = {
    "chat": {"kind": "openai"},
    "chat-whole": {"kind": "openai", "stream": False},
    "responses": {"kind": "openai-responses"},
    "responses-whole": {"kind": "openai-responses", "stream": False},
    "messages": {"kind": "anthropic", "params": {"max_tokens": 64}},
    "messages-whole": {"kind": "anthropic", "params": {"max_tokens": 64}, "stream": False},
    "http-whole": CHAT
    | {
        "reply": {
            "text": "choices[0].message.content",
            "input_tokens": "usage.prompt_tokens",
            "output_tokens": "usage.completion_tokens",
            "model": "model",
        }
    },
    "http": CHAT
    | {
        "body": CHAT["body"] | {"stream": True},
        "stream": "sse",
        "reply": {"text": "choices[0].delta.content", "model": "model"},
    },
}
CASES = (
    {"id": "plain", "prompt": "What is 2 + 2?", "target": "4"},
    {"id": "with-system", "system": "Be brief.", "prompt": "What is 2 + 2?", "target": "4"},
)


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _server(port: int, log: Path, *command: object, **environ: str) -> Iterator[str]:
    """A server as a process of its own: its base URL, once it listens."""
    words = [str(word) for word in (*command, "--port", port)]
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, env=os.environ | environ)
    try:
        until = time.monotonic() + PATIENCE
        while not _listens(port):
            assert process.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < until, f"it did not start within {PATIENCE:.0f} s"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Our fake: the address that the proxy asks."""
    log = tmp_path_factory.mktemp("fake") / "fake.log"
    behaviour = json.dumps({"default_answer": "The answer is 4."})
    command = (sys.executable, "-m", "tests.fakes.llm", "--behaviour", behaviour)
    with _server(_free_port(), log, *command) as url:
        yield url


@pytest.fixture(scope="module")
def proxy(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The proxy on a free port: its base URL."""
    program = VENV / "bin" / "litellm"
    if not program.exists():
        pytest.fail("LiteLLM is not installed; run `make third-party`")
    folder = tmp_path_factory.mktemp("litellm")
    models = {"native": "openai/mock", "translated": "hosted_vllm/mock"}
    config = {
        "model_list": [
            {"model_name": name, "litellm_params": {"model": model, "api_key": "none", "api_base": upstream}}
            for name, model in models.items()
        ],
        "general_settings": {"master_key": KEY},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = (program, "--config", folder / "config.yaml", "--host", "127.0.0.1")
    offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # it fetches a price list otherwise
    with _server(_free_port(), folder / "litellm.log", *command, **offline) as url:
        yield url


@pytest.fixture(scope="module", params=["native", "translated"])
def report(
    request: pytest.FixtureRequest, proxy: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What `plumbline probe` reports of each endpoint."""
    folder = tmp_path_factory.mktemp("site")
    chat = f"{proxy}/chat/completions"
    endpoints = {
        name: {
            "url": chat if keys["kind"] == "http" else proxy,
            "model": request.param,
            "api_key": "${PROXY_KEY}",
            **keys,
        }
        for name, keys in ENDPOINTS.items()
    }
    probe = {"endpoint": list(ENDPOINTS), "eval_sets": ["sums"], "every": "15m"}
    config = {
        "endpoints": endpoints,
        "eval_sets": {"sums": {"cases": "cases.jsonl", "scorers": ["number"]}},
        "probes": {"all": probe},
    }
    (folder / "plumbline.yaml").write_text(yaml.safe_dump(config))
    (folder / "cases.jsonl").write_text("".join(f"{json.dumps(case)}\n" for case in CASES))
    command = [sys.executable, "-m", "monitor", "probe", "all", "-o", "json", "-c"]
    environ = os.environ | {"PROXY_KEY": KEY}
    ended = subprocess.run(
        [*command, str(folder / "plumbline.yaml")], capture_output=True, text=True, env=environ
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return {each["endpoint"]: each for each in json.loads(ended.stdout)}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ENDPOINTS)
def test_a_client_reads_the_proxys_answers(report: dict[str, Any], name: str) -> None:
    replies = report[name]["replies"]
    assert [(each["outcome"], each["score"]) for each in replies] == [("ok", 1.0)] * len(CASES)
    assert all((each["time_to_first_token"] is None) is name.endswith("-whole") for each in replies)
