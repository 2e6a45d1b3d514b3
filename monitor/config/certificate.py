"""The certificate of `web.tls`: what is wrong with its files, and the TLS context made of them."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Never


@dataclass(frozen=True, kw_only=True, slots=True)
class Flaw:
    """One file that cannot be used: which key of `web.tls` names it, what is wrong, what to do."""

    part: Literal["cert", "key"]
    what: str
    cure: str


class _Locked(OSError):
    """The key asks for a passphrase."""


def context(cert: Path, key: Path) -> ssl.SSLContext:
    """A context of a server that shows this certificate, for TLS 1.2 and newer.

    Raises:
        OSError: A file cannot be read, or the two cannot be used (then `ssl.SSLError`).
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    show(made, cert, key)
    return made


def show(shown: ssl.SSLContext, cert: Path, key: Path) -> None:
    """Makes a context show this certificate to those who connect from now on.

    Raises:
        OSError: See `context`.
    """
    shown.load_cert_chain(cert, key, password=_no_passphrase)


def problems(cert: Path, key: Path) -> list[Flaw]:
    """Everything that keeps these two files from being used together; empty where nothing does."""
    if unreadable := list(_unreadable(cert, key)):
        return unreadable
    try:
        context(cert, key)
    except _Locked:
        cure = "write it without one: openssl pkey -in OLD -out NEW"
        return [Flaw(part="key", what=f"{key} is locked with a passphrase", cure=cure)]
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            cure = "name the key that the certificate was made with"
            return [Flaw(part="key", what=f"{key} is not the key of {cert}", cure=cure)]
        return [Flaw(part="cert", what=f"{cert} and {key} cannot be used", cure="make them anew, as PEM")]
    return []


def _unreadable(cert: Path, key: Path) -> Iterator[Flaw]:
    if flaw := _flaw("cert", cert, b"CERTIFICATE-----", "a certificate"):
        yield flaw
    if flaw := _flaw("key", key, b"PRIVATE KEY-----", "a private key"):
        yield flaw


def _flaw(part: Literal["cert", "key"], file: Path, mark: bytes, wanted: str) -> Flaw | None:
    try:
        text = file.read_bytes()
    except OSError as error:
        cure = "check the path, and that the daemon's user may read it"
        return Flaw(part=part, what=f"cannot read {file} ({error.strerror})", cure=cure)
    if b"-----BEGIN " not in text or mark not in text:
        return Flaw(part=part, what=f"{file} is not {wanted} in PEM", cure="name the PEM file")
    return None


def _no_passphrase() -> Never:
    raise _Locked
