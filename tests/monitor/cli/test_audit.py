"""`plumbline audit`."""


def test_what_was_done_is_listed_newest_first(plumbline):
    plumbline("token", "create", "ann", "--scope", "read")
    plumbline("token", "create", "ben", "--scope", "read")
    plumbline("token", "revoke", "ann")
    found = plumbline("audit", "-o", "json").json
    assert [(line["action"], line["object"]) for line in found] == [
        ("token revoke", "ann"),
        ("token create", "ben"),
        ("token create", "ann"),
    ]
    assert "@" in found[0]["who"]
    assert found[1]["detail"]["scopes"] == ["read"]
    assert [line["object"] for line in plumbline("audit", "--limit", 1, "-o", "json").json] == ["ann"]


def test_people_read_a_table_and_names_cannot_steer_their_terminal(plumbline):
    assert plumbline("audit").out == "nobody did anything yet\n"
    plumbline("token", "create", "an\x1b[31mn", "--scope", "read")
    ended = plumbline("audit")
    assert (ended.code, "token create" in ended.out, "\x1b" in ended.out) == (0, True, False)


def test_a_limit_is_at_least_one(plumbline):
    assert plumbline("audit", "--limit", 0).code == 2
