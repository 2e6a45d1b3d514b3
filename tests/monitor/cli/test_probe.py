"""`plumbline probe`: one round now."""

import pytest

BODY = {"prompt": "{{prompt}}"}


def test_a_round_shows_each_case_and_the_means_with_n_and_interval(plumbline):
    ended = plumbline("probe", "quality")
    assert ended.code == 0
    assert ended.out.count(" ok ") == 10
    assert "10 of 10 answered, round complete" in ended.out
    assert "score 1.00 (0.72 to 1.00, n 10)" in ended.out
    assert "first token " in ended.out


def test_the_round_as_json_is_stored_as_manual(plumbline):
    (report,) = plumbline("probe", "quality", "-o", "json").json
    assert report["round"].startswith("rnd_")
    assert (report["asked"], report["answered"], report["score"]["n"]) == (10, 10, 10)
    assert {reply["outcome"] for reply in report["replies"]} == {"ok"}


def test_failed_attempts_are_a_finding_and_tell_why_but_not_of_held_out_cases(plumbline, fake):
    fake.behave(fault="500", error_message="upstream fell over")
    ended = plumbline("probe", "quality", "-o", "json")
    assert ended.code == 1
    replies = ended.json[0]["replies"]
    assert {reply["outcome"] for reply in replies} == {"server"}
    for reply in replies:
        assert (reply["why"] is None) is (reply["split"] == "held_out")


def test_what_a_reply_says_cannot_steer_the_terminal(plumbline, fake):
    fake.behave(fault="400", error_message="\x1b[2J\x1b]0;owned\x07gone")
    ended = plumbline("probe", "quality")
    assert ended.code == 1
    assert "\x1b" not in ended.out


def test_an_unknown_probe_names_the_nearest(plumbline):
    ended = plumbline("probe", "qualty")
    assert (ended.code, ended.err) == (2, "error: no probe is called 'qualty'; did you mean 'quality'?\n")


def test_an_endpoint_that_the_probe_does_not_watch_is_refused(plumbline):
    assert plumbline("probe", "quality", "--endpoint", "bat").code == 2


def test_a_store_that_is_away_ends_with_4(plumbline, site):
    site.config["store"] = "postgresql://nobody@127.0.0.1:1/none"
    site.write()
    ended = plumbline("probe", "quality")
    assert ended.code == 4
    assert ended.err.startswith("error: the store does not answer")
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("kind", "path", "keys"),
    [
        ("anthropic", "", {"model": "m-1"}),
        ("openai-responses", "", {"model": "m-1"}),
        ("http", "/ask", {"body": BODY, "reply": {"text": "result.parts[*].text | join"}}),
        ("http", "/ask", {"body": BODY | {"stream": "sse"}, "stream": "sse", "reply": {"text": "token"}}),
    ],
)
def test_an_endpoint_of_every_kind_is_asked(plumbline, site, fake, kind, path, keys):
    site.config["endpoints"]["bot"] = {"kind": kind, "url": fake.url + path, **keys}
    site.write()
    ended = plumbline("probe", "quality")
    assert ended.code == 0
    assert "10 of 10 answered, round complete" in ended.out
    assert "score 1.00 (0.72 to 1.00, n 10)" in ended.out
