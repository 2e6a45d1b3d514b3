from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.notification import Notice
from alerts.notifiers.slack_blocks import Message, message, metadata, reply
from alerts.signal import Severity
from tests.alerts.build import Desk, notice, signal, story
from tests.fakes.slack_limits import problem

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=4000)
NASTY = "<!channel> <@U1> <https://evil.example|here> @here @channel\n:x: & *b* `c` @oncall"


def opened(summary: str, mention: str | None = None, facts: dict[str, object] | None = None) -> Notice:
    (transition,) = Desk().see(signal(summary=summary, facts=facts))
    return notice(transition, mention=mention)


def texts(made: Message) -> list[str]:
    """Every text that Slack reads, but for the mention."""
    found = [made.text]
    for block in made.blocks:
        for part in [block["text"]] if "text" in block else block["elements"]:
            if part.get("verbatim") is not False:
                found.append(part["text"])
    return found


def test_the_first_line_says_what_and_where():
    (first, *_) = message(story()["opened"]).blocks
    assert first["type"] == "header"
    assert first["text"]["text"] == (
        "🔴 support-bot: score down 12 points (8 to 15, n 80) since about 14:20 UTC"
    )


def test_the_whole_message_reads_well():
    _, mention, facts, footer = message(story()["opened"]).blocks
    assert mention["text"] == {"type": "mrkdwn", "text": "@oncall", "verbatim": False}
    assert facts["text"]["text"].splitlines()[0] == "evidence: 9.1 nats, alarm at 7.05"
    assert footer["elements"][0]["text"].splitlines() == [
        "critical, open since 14:35 UTC, inc_0001",
        "<https://plumbline.example.org/|Status page>",
    ]


def test_what_moved_and_what_recovered_have_their_titles():
    desk = Desk()
    desk.see(signal(), signal(source="a"), signal(source="b"))
    (updated,) = desk.see(signal(0.0))
    titles = [block["text"]["text"].splitlines()[0] for block in message(notice(updated)).blocks[1:3]]
    assert titles == ["*Moved*", "*Recovered*"]


@pytest.mark.parametrize(("severity", "sign"), [("critical", "🔴"), ("warning", "🟠"), ("info", "🔵")])
def test_the_severity_is_seen_at_once(severity, sign):
    (transition,) = Desk().see(signal(severity=Severity(severity)))
    assert message(notice(transition)).blocks[0]["text"]["text"].startswith(sign)


def test_a_resolved_message_calls_nobody_and_says_how_long_it_took():
    made = message(story()["resolved"])
    assert made.blocks[0]["text"]["text"] == "✅ support-bot: recovered after 1 h 35 min"
    assert "@oncall" not in str(made)


def test_a_provisional_baseline_is_named():
    made = message(opened("score down", facts={"provisional": True}))
    assert "provisional" in made.blocks[1]["text"]["text"]
    assert "provisional" in made.text


def test_a_reply_says_what_is_new_and_calls_whom_the_route_names():
    mention, news = reply(story()["worsened"]).blocks
    assert mention["text"]["text"] == "@oncall"
    assert news["text"]["text"].startswith("🔴 support-bot is worse: latency up 41 %")


@pytest.mark.parametrize("mention", ["@oncall", "<!subteam^S123>", "<@U123>"])
def test_a_mention_is_passed_as_it_is_given(mention):
    assert message(opened("x", mention)).blocks[1]["text"]["text"] == mention


def test_hostile_text_calls_nobody_and_links_nowhere():
    made = message(opened(NASTY, mention="@oncall", facts={"reply": NASTY}))
    for text in texts(made):
        assert "<!" not in text
        assert "<@" not in text
        assert "@here" not in text
        assert "@channel" not in text
        assert "@oncall" not in text
        assert "<https://evil.example" not in text
    assert "&lt;!channel&gt;" in made.text
    assert all(
        part["verbatim"] for block in made.blocks[2:] for part in block.get("elements", [block.get("text")])
    )


def test_a_headline_that_is_too_long_is_cut_and_given_whole_below():
    made = message(opened("word " * 50))
    assert made.blocks[0]["text"]["text"].endswith("…")
    assert made.blocks[1]["text"]["text"].count("word") == 50


def test_an_address_cannot_break_out_of_its_link():
    made = replace(opened("x"), links={"page|>": "https://example.org/?a=1&b=<c>|d"})
    assert "<https://example.org/?a=1&amp;b=%3Cc%3E%7Cd|page|&gt;>" in texts(message(made))[-1]


@given(
    st.lists(
        st.tuples(ANY_TEXT, st.dictionaries(ANY_TEXT, ANY_TEXT | st.lists(ANY_TEXT))), min_size=1, max_size=20
    ),
    st.sampled_from(["@oncall", None]),
)
def test_slack_takes_whatever_was_written(found, mention):
    signals = [
        signal(summary=summary, facts=facts, source=f"p{number}")
        for number, (summary, facts) in enumerate(found)
    ]
    desk = Desk()
    desk.see(*signals)
    desk.see(*(replace(each, value=0.0) for each in signals))
    for transition in desk.told:
        made = notice(transition, mention=mention)
        for shown in (message(made), reply(made)):
            sent = {"text": shown.text, "blocks": shown.blocks, "metadata": metadata(made)}
            assert problem(sent, longest=4000) is None


def test_a_full_section_of_escapes_still_fits():
    facts: dict[str, object] = {f"{'&' * 50}{number}": ["&" * 300] * 20 for number in range(20)}
    shown = message(opened("&" * 300, facts=facts))
    assert problem({"text": shown.text, "blocks": shown.blocks}, longest=4000) is None
    assert shown.text.startswith("CRITICAL support-bot: &amp;")
