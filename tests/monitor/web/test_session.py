"""The signed cookie: only the key writes it, and it ends."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.web.session import Session, Signer
from tests.conftest import START

SIGNER = Signer(b"k" * 32)
SESSION = Session(token="tok_1", until=START + timedelta(hours=12))

_moments = st.integers(0, 7_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(st.text(min_size=1), _moments)
def test_a_cookie_says_who_and_until_when(token: str, until: datetime) -> None:
    session = Session(token=token, until=until)
    cookie = SIGNER.write(session)
    assert SIGNER.read(cookie, until - timedelta(microseconds=1)) == session
    assert SIGNER.read(cookie, until) is None


@given(st.text())
def test_what_we_did_not_write_is_no_session(text: str) -> None:
    assert SIGNER.read(text, START) is None


@given(st.data())
def test_a_cookie_with_one_other_character_is_no_session(data: st.DataObject) -> None:
    cookie = SIGNER.write(SESSION)
    at = data.draw(st.integers(0, len(cookie) - 1))
    other = data.draw(st.characters(codec="ascii", exclude_characters=cookie[at]))
    assert SIGNER.read(cookie[:at] + other + cookie[at + 1 :], START) is None


@pytest.mark.parametrize("mine", ["\udcff", "ä.1.é", "tok_1.9999999999.", "..", "tok_1.1e9." + "0" * 64])
def test_a_strange_cookie_does_no_harm(mine: str) -> None:
    assert SIGNER.read(mine, START) is None


def test_another_key_and_another_purpose_sign_otherwise() -> None:
    cookie = SIGNER.write(SESSION)
    assert Signer(b"x" * 32).read(cookie, START) is None
    assert SIGNER.form(SESSION) not in cookie
    assert Signer(b"x" * 32).form(SESSION) != SIGNER.form(SESSION)


def test_each_session_has_forms_of_its_own() -> None:
    later = Session(token="tok_1", until=SESSION.until + timedelta(seconds=1))
    other = Session(token="tok_2", until=SESSION.until)
    assert len({SIGNER.form(each) for each in (SESSION, later, other)}) == 3
