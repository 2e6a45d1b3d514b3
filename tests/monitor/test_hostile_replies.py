"""Hostile replies are scored, and shown safely wherever they may come out."""

import json
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from alerts import Incident, Notice, TransitionKind, render_text
from alerts.contract import sample_notices
from alerts.notifiers import slack_blocks, webhook_payload
from monitor.cli.show import as_json, say
from monitor.results import scores_json
from monitor.store.tables import results
from probes import Ask, Outcome, Reply, Result, Score, Scorer, Timings
from probes.contract import HOSTILE_REPLIES
from tests.conftest import Clock
from tests.contract.test_scorers import CASE, CASES, PARTS, SCORERS, SETTINGS
from tests.fakes.llm import FakeLLM
from tests.monitor.look import open_incidents, rows
from tests.monitor.web.served import served
from tests.site import Site, answers, bench

#: What the contract's replies leave out: controls of a second kind, half a mark-up, and each of them near an answer.
REPLIES = (
    *HOSTILE_REPLIES,
    "\x9b2J\x9d0;owned\x9c 4",
    '{"a": "\\u001b[2J\\u202e\\u0000", "4": "</td><img src=x onerror=alert(1)>"}',
    "(B) \x1b]8;;http://example.org\x1b\\B\x1b]8;;\x1b\\",
    "4 " + "\u202e\u200b\U000e0041" * 1_000,
)
SHOWN_AT_MOST = 4_000  # characters of JSON that one scorer may leave in the store


def unsafe(text: str) -> set[str]:
    """Characters that steer a terminal or turn the reading direction; line breaks are wanted."""
    categories = {"Cc", "Cf", "Cs", "Co", "Cn"}
    return {each for each in text if each != "\n" and unicodedata.category(each) in categories}


def strings(value: Any) -> Iterator[str]:
    """Every text inside JSON, keys included."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
    elif isinstance(value, str):
        yield value


def stored(name: str, score: Score, text: str) -> dict[str, Any]:
    """What the store takes of a score."""
    ask = Ask(case=CASE, seq=0, scorers={})
    reply = Reply(text=text, timings=Timings(total=1.0))
    now = datetime(2026, 1, 5, tzinfo=UTC)
    result = Result(ask=ask, outcome=Outcome.OK, started=now, elapsed=1.0, reply=reply, scores={name: score})
    kept: dict[str, Any] = scores_json(result)[name]
    return kept


@pytest.mark.parametrize("entry", SCORERS, ids=lambda entry: entry.name)
async def test_every_scorer_scores_every_hostile_reply_and_keeps_little_and_clean(entry: EntryPoint) -> None:
    kind = entry.load()
    settings = kind.Settings.model_validate(SETTINGS.get(entry.name, {}))
    scorer: Scorer = kind(settings, PARTS[entry.name]) if entry.name in PARTS else kind(settings)
    for text in REPLIES:
        score = await scorer.score(CASES.get(entry.name, CASE), Reply(text=text, timings=Timings(total=1.0)))
        kept = stored(entry.name, score, text)
        assert (kept["value"] is None) is bool(kept.get("reason"))
        assert not unsafe("".join(strings(kept))), (entry.name, text[:20])
        assert len(json.dumps(kept)) <= SHOWN_AT_MOST


@pytest.mark.parametrize("text", REPLIES, ids=lambda text: ascii(text[:12]))
def test_a_scorer_that_quotes_the_reply_in_full_is_cut_and_cleaned(text: str) -> None:
    evidence = {"said": text, text[:100]: [text] * 100, "deep": {"deep": {"deep": {"deep": text}}}}
    kept = stored("rude", Score(value=0.0, explanation=text, evidence=evidence), text)
    assert not unsafe("".join(strings(kept)))
    assert len(json.dumps(kept)) <= 10 * SHOWN_AT_MOST


@pytest.mark.parametrize("text", [text for text in REPLIES if text], ids=lambda text: ascii(text[:12]))
def test_a_reply_is_no_reason_for_it_becomes_a_label(text: str) -> None:
    with pytest.raises(ValueError, match="one short word"):
        Score(value=None, reason=text)


@pytest.mark.parametrize("text", [text[:5_000] for text in REPLIES], ids=lambda text: ascii(text[:12]))
def test_what_the_command_line_prints_steers_no_terminal(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = text.encode("utf-8", "replace").decode()
    say(clean, f"\x1b[2J{clean}", errors=True)
    as_json({clean: [clean]})
    said = capsys.readouterr()
    assert not unsafe(said.out + said.err)
    assert json.loads(said.out) == {clean: [clean]}


def _notices(incident: Incident) -> Iterator[Notice]:
    for like in sample_notices():
        yield Notice(
            id=like.id,
            incident=incident,
            kind=like.kind,
            channel="c",
            mention=None,
            seq=like.seq,
            at=incident.updated_at,
            summary=incident.lead.summary,
            reason="test",
            links={"Status page": "https://example.org/"},
            provisional=like.kind is TransitionKind.OPENED,
        )


def _mixed(bad: Callable[[], bool]) -> Callable[[Any], str]:
    right = answers()
    texts = [text.encode("utf-8", "replace").decode()[:1_000_000] for text in REPLIES]

    def answer(asked: Any) -> str:
        number = int(asked.prompt.removeprefix("q"))
        return texts[number % len(texts)] if bad() else right[asked.prompt]

    return answer


@pytest.mark.timeout(300)  # it parses 10 MB many times over; a busy machine takes its time
async def test_an_endpoint_that_turns_hostile_is_judged_and_told_of_safely(
    store_url: str, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    turned = False
    async with FakeLLM(answers=_mixed(lambda: turned)) as llm:
        site = Site(tmp_path, store_url, llm.url)
        site.config["eval_sets"]["basics"]["scorers"] = ["exact", "json", "number", "f1"]
        async with bench(site, clock) as it:
            await it.capture()
            turned = True
            llm.served_model, llm.fingerprint = "\x1b[2J<b>m\u202e", "\x00<script>"
            while not (found := await open_incidents(it.store)):
                assert await it.run(clock) == ["complete"]
            kept = await rows(it.store, results, results.c.kind == "scheduled")
            async with served(it) as port:
                _, page, _ = await port.get("/")
                _, status, _ = await port.get("/api/v1/status")
    assert {row.outcome for row in kept} == {"ok"}
    assert not unsafe("".join(text for row in kept for text in strings(row.scores)))
    assert not unsafe(page)
    assert "<script>" not in page.replace("<script ", "")
    assert "<img" not in page
    assert not unsafe("".join(strings(json.loads(status))))
    assert not unsafe(caplog.text)
    for notice in (notice for incident in found for notice in _notices(incident)):
        blocks = [slack_blocks.message(notice), slack_blocks.reply(notice)]
        payload = webhook_payload.body(notice)
        for text in (render_text(notice), *map(repr, blocks), "".join(strings(json.loads(payload)))):
            assert not unsafe(text)
            assert len(text) < 20_000
        assert "<b>" not in repr(blocks)  # Slack reads it; plain text and JSON are read by nobody
