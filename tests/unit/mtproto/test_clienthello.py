"""The hello as servers read it: its proof, its shape, and what a real TLS library makes of it."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.site import certificate
from stackctl.mtproto.clienthello import MAX_DOMAIN, client_hello
from stackctl.mtproto.records import RecordReader
from stackctl.mtproto.tls13 import Opener, certificate_names

from .server import DOMAIN, KEY, Chance

DOMAINS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", min_size=1, max_size=MAX_DOMAIN)


def extensions(record: bytes) -> list[tuple[int, bytes]]:
    """The extensions in order, every length checked on the way."""
    assert record[:3] == b"\x16\x03\x01"
    assert int.from_bytes(record[3:5], "big") == len(record) - 5
    assert record[5] == 1
    assert int.from_bytes(record[6:9], "big") == len(record) - 9
    at = 9 + 2 + 32
    at += 1 + record[at]
    at += 2 + int.from_bytes(record[at : at + 2], "big")
    at += 1 + record[at]
    assert int.from_bytes(record[at : at + 2], "big") == len(record) - at - 2
    at += 2
    found = []
    while at < len(record):
        kind, size = int.from_bytes(record[at : at + 2], "big"), record[at + 2 : at + 4]
        end = at + 4 + int.from_bytes(size, "big")
        found.append((kind, record[at + 4 : end]))
        at = end
    assert at == len(record)
    return found


@given(DOMAINS, st.integers(0, 2**32 - 1), st.binary(min_size=16, max_size=16))
def test_the_random_field_proves_secret_and_time(domain: str, time: int, key: bytes) -> None:
    record = client_hello(key, domain, time, Chance()).record
    digest = hmac.new(key, record[:11] + bytes(32) + record[43:], hashlib.sha256).digest()
    assert record[11:39] == digest[:28]
    claimed = bytes(a ^ b for a, b in zip(record[39:43], digest[28:], strict=True))
    assert int.from_bytes(claimed, "little") == time


@given(DOMAINS)
def test_it_has_the_length_and_the_parts_of_a_browsers(domain: str) -> None:
    record = client_hello(KEY, domain, 0, Chance()).record
    assert len(record) == 517
    assert record[43] == 32
    found = extensions(record)
    kinds = [kind for kind, _ in found]
    assert len(set(kinds)) == len(kinds)
    grease = [kind for kind in kinds if kind & 0x0F0F == 0x0A0A]
    assert len(grease) == 2
    named = dict(found)
    host = domain.encode()
    assert named[0] == bytes([0, len(host) + 3, 0, 0, len(host)]) + host
    assert int.from_bytes(named[0x33][:2], "big") == len(named[0x33]) - 2
    assert b"\x00\x1d\x00\x20" in named[0x33]
    assert named[0x2B][0] == len(named[0x2B]) - 1
    assert b"\x03\x04" in named[0x2B]
    assert not any(named[0x15])


@pytest.mark.parametrize("domain", ["", "a" * (MAX_DOMAIN + 1)])
def test_a_domain_that_does_not_fit_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match="domain"):
        client_hello(KEY, domain, 0, Chance())


def real_server(
    folder: Path, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = newest
    context.load_cert_chain(certificate(folder, DOMAIN))
    to, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    return context.wrap_bio(to, back, server_side=True), to, back


def test_a_real_server_takes_it_and_its_certificate_can_be_read(tmp_path: Path) -> None:
    hello = client_hello(KEY, DOMAIN, 0, Chance())
    server, to, back = real_server(tmp_path)
    to.write(hello.record)
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    reader = RecordReader()
    reader.feed(back.read())
    answer = reader.next()
    assert answer is not None
    opener = Opener(hello.record, hello.private, answer)
    assert opener.certificate() is None
    while record := reader.next():
        if record.kind == 0x17:
            assert opener.open(record)
    assert opener.certificate() == (DOMAIN,)
    # And a record that is not the next one is none of its own.
    assert not opener.open(record or answer)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A Certificate message's body with one certificate."""
    pem = certificate(tmp_path_factory.mktemp("site"), DOMAIN).read_text()
    der = ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :])
    entry = len(der).to_bytes(3, "big") + der + b"\0\0"
    return b"\0" + len(entry).to_bytes(3, "big") + entry


def test_a_certificate_names_its_site(chain: bytes) -> None:
    assert certificate_names(chain) == (DOMAIN,)


@given(st.data())
def test_a_certificate_that_is_tampered_with_names_somebody_or_nobody(
    chain: bytes, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, len(chain) - 1))
    size = data.draw(st.integers(0, 4))
    bad = chain[:position] + data.draw(st.binary(max_size=4)) + chain[position + size :]
    assert all(isinstance(name, str) for name in certificate_names(bad))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_certificate_or_none(raw: bytes) -> None:
    assert certificate_names(raw) == ()
