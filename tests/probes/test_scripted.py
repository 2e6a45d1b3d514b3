import pytest

from probes import Message, Request
from probes.clients.scripted import ScriptedClient, ScriptedSettings
from probes.errors import EndpointTimeout, ServerFailed
from tests.probes.cases import question, reply


async def said(client: ScriptedClient, *prompts: str) -> list[str]:
    return [(await client.ask(question(prompt))).text for prompt in prompts]


async def test_a_list_answers_in_turn() -> None:
    assert await said(ScriptedClient(ScriptedSettings(replies=["a", "b"])), "1", "2", "3") == ["a", "b", "a"]


async def test_a_table_answers_the_last_user_message() -> None:
    client = ScriptedClient(ScriptedSettings(replies={"2+2?": "4"}, default="?"))
    assert await said(client, "2+2?", "else") == ["4", "?"]
    turns = tuple(Message(role=role, content=text) for role, text in [("user", "2+2?"), ("assistant", "5")])
    assert (await client.ask(Request(messages=turns))).text == "4"


async def test_without_replies_the_default_answers() -> None:
    answer = await ScriptedClient(ScriptedSettings(model="m2")).ask(question())
    assert (answer.text, answer.served_model, answer.finish_reason) == ("…", "m2", "stop")


async def test_a_function_answers_with_text_a_reply_or_a_failure() -> None:
    assert await said(ScriptedClient(ScriptedSettings(), answer=lambda r: "x"), "1") == ["x"]
    whole = reply("y")
    assert await ScriptedClient(ScriptedSettings(), answer=lambda r: whole).ask(question()) is whole
    with pytest.raises(ServerFailed):
        await ScriptedClient(ScriptedSettings(), answer=lambda r: ServerFailed("500")).ask(question())


async def test_a_delay_beyond_the_timeout_times_out() -> None:
    with pytest.raises(EndpointTimeout):
        await ScriptedClient(ScriptedSettings(delay=60)).ask(question(timeout=0.001))
