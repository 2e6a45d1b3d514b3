"""`plumbline baseline`: captures, decisions, and what is kept of them."""

import sqlite3

import pytest


@pytest.fixture
def capture(plumbline):
    return lambda *more: plumbline("baseline", "capture", "quality", "--yes", *more)


@pytest.fixture
def provisional(site):
    """A site on which a person accepts baselines."""
    site.config["baseline"] = {"auto_accept": False}
    site.write()


def states(plumbline):
    return {
        row["version"]: row["state"] for row in plumbline("baseline", "list", "quality", "-o", "json").json
    }


def test_a_capture_says_what_it_takes_and_is_accepted_where_the_config_says_so(plumbline, capture, fake):
    ended = capture("--reason", "first one")
    assert ended.code == 0
    assert "bot/quality: 100 calls (20 cases), no price is set" in ended.out
    assert "version 1 is captured and accepted" in ended.out
    assert fake.answered == 100
    (shown,) = plumbline("baseline", "show", "quality", "-o", "json").json
    assert (shown["judges"], shown["state"]) == (True, "accepted")
    (score,) = [each for each in shown["measures"] if each["measure"] == "score"]
    assert (score["cases"], score["runs"], score["mean"]) == (20, 100, 1.0)
    assert "score 1.00 (0.96 to 1.00, n 100)" in plumbline("baseline", "show", "quality").out


@pytest.mark.usefixtures("provisional")
def test_a_capture_is_provisional_until_a_person_accepts_it(plumbline, capture, site):
    assert "provisional until you run `plumbline baseline accept quality" in capture().out
    assert plumbline("baseline", "accept", "quality").code == 2  # why? nobody is here to be asked
    ended = plumbline("baseline", "accept", "quality", "--reason", "looks right")
    assert (ended.code, ended.out) == (
        0,
        "bot/quality: version 1 accepted; it judges from the next round on\n",
    )
    with sqlite3.connect(site.folder / "plumbline.db") as db:
        ((who, action, what, why),) = db.execute("select who, action, object, why from audit").fetchall()
        ((event,),) = db.execute("select text from event where text like '% accepted by %'").fetchall()
    db.close()
    assert "@" in who
    assert (action, what, why) == ("baseline accepted", "bot/quality", "looks right")
    assert event.endswith(": looks right")


@pytest.mark.usefixtures("provisional")
def test_a_new_capture_waits_beside_the_accepted_one_and_rollback_goes_back(plumbline, capture):
    for _ in range(2):
        assert capture().code == 0
        assert plumbline("baseline", "accept", "quality", "--reason", "ok").code == 0
    capture()
    assert states(plumbline) == {3: "provisional", 2: "accepted", 1: "retired"}
    ended = plumbline("baseline", "rollback", "quality", "--reason", "the second was captured too late")
    assert ended.out.startswith("bot/quality: version 1 brought back")
    assert states(plumbline)[1] == "accepted"
    nothing = plumbline("baseline", "rollback", "quality", "--reason", "further")
    assert nothing.code == 1
    assert "no earlier accepted version" in nothing.err
    forward = plumbline("baseline", "accept", "quality", "--version", 2, "--reason", "after all")
    assert forward.code == 0
    assert states(plumbline)[2] == "accepted"


@pytest.mark.usefixtures("provisional")
def test_a_version_of_another_model_is_not_accepted(plumbline, capture, site):
    capture()
    site.config["endpoints"]["bot"]["model"] = "m-2"
    site.write()
    ended = plumbline("baseline", "accept", "quality", "--version", 1, "--reason", "x")
    assert ended.code == 1
    assert "another model or other parameters" in ended.err


def test_a_capture_of_an_endpoint_that_fails_is_refused_and_says_why(plumbline, capture, fake):
    fake.behave(fault="500", fault_share=0.5)
    ended = capture()
    assert ended.code == 1
    assert "was refused" in ended.out
    assert "attempts failed (server " in ended.out
    assert states(plumbline) == {1: "refused"}


def test_a_capture_that_nobody_can_confirm_is_not_begun(plumbline, fake):
    ended = plumbline("baseline", "capture", "quality")
    assert (ended.code, fake.answered) == (2, 0)
    assert "--yes" in ended.err


def test_a_capture_that_ran_out_of_money_is_kept_and_goes_on(plumbline, capture, site, fake):
    price = {"input_per_mtok": 1.0, "output_per_mtok": 1.0}
    bot = site.config["endpoints"]["bot"]
    bot |= {"price": price, "params": {"max_tokens": 10}, "limits": {"usd_per_day": 0.0005}}
    fake.behave(input_tokens=16, output_tokens=10)
    site.write()
    ended = capture()
    assert ended.code == 1
    assert "run the same command again" in ended.out
    before = fake.answered
    assert 0 < before < 100
    bot["limits"] = {"usd_per_day": 1}
    site.write()
    assert "going on with version 1" in (again := capture()).out
    assert (again.code, fake.answered) == (0, 100)


def test_decisions_need_one_endpoint(plumbline, site):
    site.config["endpoints"]["bot-2"] = dict(site.config["endpoints"]["bot"])
    site.config["probes"]["quality"]["endpoint"] = ["bot", "bot-2"]
    site.write()
    ended = plumbline("baseline", "accept", "quality", "--reason", "x")
    assert (ended.code, "choose one with --endpoint" in ended.err) == (2, True)
