"""Where a request comes from, and where a stranger may send a person on to."""

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from monitor.web.origin import from_our_page, local_path, way_up

OUTSIDE = "https://plumbline.example.org/watch"


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, None),
        ({"Origin": "http://box:8484"}, True),
        ({"Origin": "HTTP://BOX:8484"}, True),
        ({"Origin": "http://box"}, False),
        ({"Origin": "https://box:8484"}, False),
        ({"Origin": "https://plumbline.example.org"}, True),
        ({"Origin": "https://plumbline.example.org:443"}, True),
        ({"Origin": "http://plumbline.example.org"}, False),
        ({"Origin": "https://plumbline.example.org.evil.example"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://[bad"}, False),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://box:8484"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
    ],
)
def test_a_page_is_ours_by_its_whole_origin(headers: dict[str, str], ours: bool | None) -> None:
    request = make_mocked_request("POST", "/", headers={"Host": "box:8484", **headers})
    assert from_our_page(request, OUTSIDE) is ours


@pytest.mark.parametrize("path", ["/", "/api/v1/status", "/stats/bot?days=7&x=%2Fy", "/-/ready"])
def test_a_path_of_ours_leads_there(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "elsewhere",
    [
        *("", "stats", "//evil.example", "/\\evil.example", "///evil.example", "https://evil.example"),
        *(
            "/..//evil.example",
            "/./evil",
            "/.//evil.example",
            "/a//b",
            "/\t/evil.example",
            "javascript:alert(1)",
        ),
        *("/a\r\nSet-Cookie: x=y", "/\udcff", "/ä", "/" + "a" * 2000, "/a#b", '/"x', "/a/../b", " /a"),
    ],
)
def test_everything_else_leads_to_the_first_page(elsewhere: str) -> None:
    assert local_path(elsewhere) == "/"


@given(st.text(alphabet="/.\\:?#@%ae\t\n ", max_size=12))
def test_nothing_that_a_stranger_writes_leads_to_another_host(text: str) -> None:
    here = URL("https://plumbline.example.org/watch/login")
    there = here.join(URL(f".{local_path(text)}", encoded=True))
    assert (there.scheme, there.host, there.path.startswith("/watch/")) == ("https", here.host, True)


@pytest.mark.parametrize(("path", "up"), [("/", ""), ("/login", ""), ("/api/v1/status", "../../")])
def test_links_lead_up_as_far_as_the_page_is_deep(path: str, up: str) -> None:
    assert way_up(make_mocked_request("GET", path)) == up
