"""`web.tls`: files that can be used together, or problems that say which one and why."""

import shutil
from pathlib import Path

import pytest

from monitor.config.load import load
from monitor.config.problem import ConfigInvalid
from monitor.config.show import show

CERTIFICATES = Path(__file__).parents[2] / "fakes" / "certificates"


@pytest.fixture
def load_tls(tmp_path):
    for file in CERTIFICATES.glob("*.*"):
        shutil.copy(file, tmp_path)
    (tmp_path / "torn.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "torn.key").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")

    def load_it(tls):
        path = tmp_path / "plumbline.yaml"
        path.write_text(f"web:\n  tls: {tls}\n")
        return load(path, {})

    return load_it


def test_paths_are_relative_to_the_config(load_tls, tmp_path):
    loaded = load_tls("{cert: one.pem, key: one.key}")
    web = loaded.config.web
    assert (web.tls.cert, web.tls.key, web.scheme) == (tmp_path / "one.pem", tmp_path / "one.key", "https")
    assert "PRIVATE KEY" not in show(loaded.config)


def test_another_certificate_is_no_other_config(load_tls):
    one, two = load_tls("{cert: one.pem, key: one.key}"), load_tls("{cert: two.pem, key: two.key}")
    assert one.hash == two.hash


@pytest.mark.parametrize(
    ("tls", "key", "problem"),
    [
        ("{cert: one.pem, key: two.key}", "key", "is not the key of"),
        (
            "{cert: one.pem, key: locked.key}",
            "key",
            "is locked with a passphrase; write it without one: openssl",
        ),
        ("{cert: one.key, key: one.key}", "cert", "is not a certificate in PEM"),
        ("{cert: one.pem, key: one.pem}", "key", "is not a private key in PEM"),
        ("{cert: torn.pem, key: one.key}", "cert", "cannot be used; make them anew, as PEM"),
        ("{cert: one.pem, key: torn.key}", "cert", "cannot be used; make them anew, as PEM"),
        ("{cert: gone.pem, key: one.key}", "cert", "cannot read .*No such file.*check the path"),
        ("{cert: one.pem}", "key", "is missing; add key"),
        ("{cert: one.pem, key: [one.key]}", "key", ""),
        ("{cert: one.pem, key: one.key, ca: x}", "ca", "unknown key"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_place_and_cure(load_tls, tls, key, problem):
    with pytest.raises(ConfigInvalid, match=rf"plumbline.yaml:2: web\.tls\.{key}: .*{problem}") as caught:
        load_tls(tls)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("tls", ["yes", "[one.pem]", "one.pem"])
def test_what_is_no_section_is_one_problem(load_tls, tls):
    with pytest.raises(ConfigInvalid) as caught:
        load_tls(tls)
    assert len(caught.value.problems) == 1
