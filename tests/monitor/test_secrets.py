"""What an endpoint echoes of our own secrets is stored nowhere."""

import zlib
from pathlib import Path

from pydantic import BaseModel, SecretStr
from sqlalchemy import select

from monitor.secrets import Secrets
from monitor.store.tables import reply_texts, results
from tests.conftest import Clock
from tests.fakes.llm import FakeLLM
from tests.site import Site, bench

KEY = 'sk-"very secret\\key'


class Inner(BaseModel):
    """A part of some settings."""

    tokens: list[SecretStr]


class Settings(BaseModel):
    """Settings with secrets in every place."""

    api_key: SecretStr
    headers: dict[str, SecretStr]
    note: str
    inner: Inner


def test_secrets_are_found_wherever_they_stand_and_words_are_not():
    secrets = Secrets(
        Settings(
            api_key=SecretStr("first-secret"),
            headers={"x": SecretStr("second-secret")},
            note="a plain word",
            inner=Inner(tokens=[SecretStr("third-secret"), SecretStr("no")]),
        )
    )
    text = "first-secret, second-secret, third-secret; a plain word, no"
    assert secrets.hide(text) == "[redacted], [redacted], [redacted]; a plain word, no"


async def test_a_reply_that_echoes_the_key_is_kept_without_it(
    store_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with FakeLLM(default_answer=f"your header was Bearer {KEY}!") as llm:
        site = Site(tmp_path, store_url, llm.url)
        site.config["endpoints"]["bot"]["api_key"] = KEY
        site.config["eval_sets"]["basics"]["scorers"] = [{"pattern": {"pattern": "Bearer (.*)"}}]
        async with bench(site, clock) as it:
            assert await it.runtime.rounds.manual(it.watch) is not None
            async with it.store.read() as connection:
                bodies = (await connection.execute(select(reply_texts.c.body))).scalars().all()
                scores = (await connection.execute(select(results.c.scores))).scalars().all()
    kept = zlib.decompress(bodies[0]).decode()
    assert "your header was Bearer [redacted]!" in kept
    assert "very secret" not in kept + str(scores)
