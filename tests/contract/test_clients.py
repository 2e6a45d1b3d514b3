"""Every client that is installed, ours and others', keeps the contract."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pytest
from pydantic import BaseModel

from probes import Reply, Request, Timings
from probes.clients.scripted import ScriptedClient, ScriptedSettings
from probes.contract import ContractBroken, check_client
from probes.errors import ServerFailed
from tests.fakes.llm import FakeLLM

CLIENTS = entry_points(group="plumbline.clients")
KEY = "sk-contract-0123456789"
#: Settings with which each client of ours asks the fake; a new one adds a line.
SETTINGS: dict[str, dict[str, Any]] = {
    "openai": {"model": "m", "api_key": KEY, "headers": {"x-org": KEY}},
    "anthropic": {"model": "m", "api_key": KEY, "headers": {"x-org": KEY}},
    "openai-responses": {"model": "m", "api_key": KEY, "headers": {"x-org": KEY}},
    "openai-embeddings": {"model": "m", "api_key": KEY, "headers": {"x-org": KEY}},
    "http": {"body": {"prompt": "{{prompt}}"}, "reply": {"text": "result"}, "headers": {"x-key": KEY}},
    "scripted": {"replies": ["a"], "delay": 0.001},
}


def settings_of(name: str, url: str) -> dict[str, Any]:
    address = {"scripted": {}, "http": {"url": f"{url}/ask"}}
    if name not in SETTINGS:  # of another package: it has defaults, and knows nothing of the fake
        return {"api_key": KEY}
    return SETTINGS[name] | address.get(name, {"url": url})


def test_the_clients_that_ship_are_registered() -> None:
    shipped = {"anthropic", "http", "openai", "openai-embeddings", "openai-responses", "scripted"}
    assert shipped <= CLIENTS.names


@pytest.mark.parametrize("fault", ["none", "401", "disconnect"])
@pytest.mark.parametrize("entry", CLIENTS, ids=lambda entry: entry.name)
async def test_a_client_keeps_the_contract(entry: EntryPoint, fault: str) -> None:
    async with FakeLLM(fault=fault, error_message=f"your key is {KEY}") as fake:
        await check_client(entry.load(), settings_of(entry.name, fake.url), secret=KEY)


@pytest.mark.parametrize("entry", CLIENTS, ids=lambda entry: entry.name)
async def test_a_client_keeps_the_contract_while_its_endpoint_hangs(entry: EntryPoint) -> None:
    request = Request(messages=(), timeout=0.05)
    async with FakeLLM(fault="hang") as fake:
        await check_client(entry.load(), settings_of(entry.name, fake.url), secret=KEY, request=request)


class Lax(BaseModel):
    """Settings that take any key."""


class WrongApi(ScriptedClient):
    api = 2


class LaxSettings(ScriptedClient):
    Settings = Lax


class Careless(ScriptedClient):
    async def ask(self, request: Request) -> Reply:
        request.params["seen"] = True  # type: ignore[index]  # the mistake that is to be caught
        return Reply(text="", timings=Timings(total=0.0))


class Leaky(ScriptedClient):
    async def ask(self, request: Request) -> Reply:
        raise ServerFailed(f"refused with {KEY}")


class Raw(ScriptedClient):
    async def ask(self, request: Request) -> Reply:
        if request.timeout < 1:
            raise TimeoutError
        return Reply(text="", timings=Timings(total=0.0))


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (WrongApi, "`api` is 1"),
        (LaxSettings, "refuses unknown keys"),
        (Careless, "the request is read, not changed"),
        (Leaky, "does not show a secret"),
        (Raw, "a passed deadline is an EndpointError"),
    ],
)
async def test_a_broken_promise_is_named(kind: type[ScriptedClient], promise: str) -> None:
    with pytest.raises(ContractBroken, match=promise):
        await check_client(kind, {}, secret=KEY)


async def test_a_function_may_answer_in_the_scripted_clients_place() -> None:
    class Told(ScriptedClient):
        def __init__(self, settings: ScriptedSettings) -> None:
            super().__init__(settings, answer=lambda request: ServerFailed("500"))

    await check_client(Told, {})
