"""status, incidents, tokens and the schema."""

import asyncio
import sqlite3

import pytest

from tests.conftest import Clock
from tests.site import bench


@pytest.fixture
def incident(site, fake):
    """The site after a baseline and a round in which the endpoint was down; its incident is open."""

    async def happen():
        clock = Clock()
        async with bench(site, clock) as walk:
            await walk.runtime.rounds.scheduled(walk.watch, walk.watch.grid.slot(clock()))
            fake.behave(fault="500", error_message="\x1b[31mred")
            for _ in range(3):
                clock.advance(minutes=15)
                await walk.runtime.rounds.scheduled(walk.watch, walk.watch.grid.slot(clock()))

    asyncio.run(happen())


def test_a_store_without_rounds_has_a_status(plumbline):
    ended = plumbline("status")
    assert ended.code == 0
    assert "none has run on this store yet" in ended.out
    assert plumbline("incidents", "list").out == "no open incidents; --all lists past ones\n"


@pytest.mark.usefixtures("incident")
def test_an_open_incident_is_listed_shown_and_a_finding_of_status(plumbline):
    (row,) = plumbline("incidents", "list", "-o", "json").json
    assert (row["endpoint"], row["state"], row["severity"]) == ("bot", "open", "critical")
    shown = plumbline("incidents", "show", row["id"])
    assert shown.code == 0
    assert "endpoint down" in shown.out
    assert "opened" in shown.out
    assert "due" in shown.out  # nobody sends here
    whole = plumbline("incidents", "show", row["id"], "-o", "json").json
    assert whole["steps"][0]["kind"] == "opened"
    status = plumbline("status")
    assert status.code == 1
    assert "CHANGED: errors up" in status.out
    assert row["id"] in status.out
    assert "\x1b" not in shown.out + status.out
    assert plumbline("status", "-o", "json").json["incidents"][0]["id"] == row["id"]


def test_status_changes_nothing(plumbline, site):
    plumbline("status")
    with sqlite3.connect(site.folder / "plumbline.db") as db:
        assert db.execute("select count(*) from stream").fetchone() == (0,)
        assert db.execute("select count(*) from meta").fetchone() == (0,)
    db.close()


def test_an_unknown_incident_names_the_cure(plumbline):
    ended = plumbline("incidents", "show", "inc_x")
    assert (ended.code, "incidents list --all" in ended.err) == (2, True)


def test_a_token_is_shown_once_listed_and_revoked(plumbline):
    made = plumbline("token", "create", "grafana", "--scope", "read,operate", "-o", "json").json
    assert made["token"].startswith("plb_")
    listed = plumbline("token", "list", "-o", "json")
    assert [(row["name"], row["scopes"]) for row in listed.json] == [("grafana", ["read", "operate"])]
    assert made["token"] not in listed.out
    assert plumbline("token", "revoke", "grafana").out.startswith("revoked grafana")
    assert plumbline("token", "revoke", "grafana").code == 2


def test_an_unknown_scope_is_refused(plumbline):
    ended = plumbline("token", "create", "x", "--scope", "reed")
    assert (ended.code, "known are: read, " in ended.err) == (2, True)


def test_an_empty_store_is_old_until_it_is_upgraded(plumbline):
    assert plumbline("db", "check").code == 1
    assert "it was empty" in plumbline("db", "upgrade").out
    assert plumbline("db", "check").code == 0
    assert "already" in plumbline("db", "upgrade").out


def test_on_call_needs_no_secret_to_look(site, plumbline, incident):
    site.config["endpoints"]["bot"]["api_key"] = "${A_KEY_THAT_IS_NOT_SET}"
    site.write()
    assert plumbline("probe", "quality").code == 3
    for command in (("status",), ("incidents", "list"), ("baseline", "list", "quality")):
        ended = plumbline(*command)
        assert ended.code in (0, 1), ended.err
