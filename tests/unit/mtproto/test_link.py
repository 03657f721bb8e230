"""Links are read as they are made, and no error repeats a secret."""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.mtproto import Link, LinkError, Secret, parse_link
from stackctl.spec import init, links, load, load_secrets

KEY = "00112233445566778899aabbccddeeff"
RAW = bytes.fromhex(KEY)
DOMAIN = "www.example.com"
TLS = "ee" + KEY + DOMAIN.encode().hex()


def url(server: str = "192.0.2.7", port: str = "443", secret: str = TLS) -> str:
    return f"tg://proxy?server={server}&port={port}&secret={secret}"


def test_what_stackctl_prints_is_what_its_probe_reads(tmp_path: Path) -> None:
    init(tmp_path, "lab", 1000, 2)
    stack, secrets = load(tmp_path / "stack.yaml"), load_secrets(tmp_path / "secrets.yaml")
    made = links(stack, secrets)
    assert made
    for link in made:
        key = bytes.fromhex(secrets.users[link.user])
        domain = stack.telemt.domain if link.mode == "tls" else ""
        read = parse_link(link.url)
        assert read.secret == Secret(link.mode, key, domain)
        assert read.secret.key == key
        assert (read.host, read.port) == (stack.telemt.public_host, stack.telemt.public_port)


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,8}){1,3}", fullmatch=True)
SECRETS = st.one_of(
    st.builds(Secret, st.just("classic"), st.binary(min_size=16, max_size=16)),
    st.builds(Secret, st.just("secure"), st.binary(min_size=16, max_size=16)),
    st.builds(Secret, st.just("tls"), st.binary(min_size=16, max_size=16), NAMES),
)


@given(SECRETS, NAMES, st.integers(1, 65535), st.sampled_from(["hex", "url", "padded", "plain"]))
def test_every_secret_is_read_in_every_spelling(
    secret: Secret, host: str, port: int, spelling: str
) -> None:
    raw = {"classic": b"", "secure": b"\xdd", "tls": b"\xee"}[secret.mode]
    raw += secret.key + secret.domain.encode()
    text = {
        "hex": raw.hex(),
        "url": base64.urlsafe_b64encode(raw).decode().rstrip("="),
        "padded": base64.urlsafe_b64encode(raw).decode(),
        "plain": base64.b64encode(raw).decode(),
    }[spelling]
    if spelling != "hex" and re.fullmatch("([0-9A-Fa-f]{2})+", text):
        return  # happens to be hex, and is read as that
    assert parse_link(url(host, str(port), text)) == Link(host, port, secret)


def test_pages_of_telegram_hold_the_same_link() -> None:
    wanted = Link("2001:db8::1", 443, Secret("tls", RAW, DOMAIN))
    for start in (
        "tg://proxy?",
        "TG://PROXY?",
        "tg:proxy?",
        "https://t.me/proxy?",
        "http://telegram.me/proxy?",
    ):
        assert parse_link(f" {start}server=[2001:db8::1]&port=443&secret={TLS}\n") == wanted


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "link"),
        ("https://example.com/proxy?server=a&port=1&secret=" + KEY, "link"),
        ("tg://socks?server=a&port=1&secret=" + KEY, "link"),
        ("tg://[/proxy?", "link"),
        ("tg://proxy?" + "a" * 3000, "link"),
        ("tg://proxy?port=1&secret=" + KEY, "server"),
        (url(server=""), "server"),
        (url(server="a b"), "server"),
        (url(server="1.2.3"), "server"),
        (url(server="..") + "", "server"),
        (url(server="a") + "&server=b", "server"),
        (url(port="0"), "port"),
        (url(port="65536"), "port"),
        (url(port="٤٤٣"), "port"),
        (url(port=""), "port"),
        (url(secret=""), "secret"),
        (url(secret=KEY[:-1]), "secret"),
        (url(secret=KEY + "00"), "secret"),
        (url(secret="dd" + KEY + "00"), "secret"),
        (url(secret="ee" + KEY), "secret"),
        (url(secret="ee" + KEY + "ff00"), "secret"),
        (url(secret="ee" + KEY + (b"a" * 183).hex()), "secret"),
        (url(secret="?" + KEY), "secret"),
        (url(secret="é" + KEY), "secret"),
    ],
)
def test_an_error_names_the_part_and_repeats_no_secret(text: str, part: str) -> None:
    with pytest.raises(LinkError) as caught:
        parse_link(text)
    assert caught.value.part == part
    assert caught.value.remedy
    assert KEY[:8] not in f"{caught.value}{caught.value!r}"


def test_no_repr_shows_a_key() -> None:
    link = parse_link(url())
    assert KEY not in repr(link) + str(link)
    assert repr(RAW) not in repr(link)


@given(st.text(max_size=200))
def test_any_text_is_a_link_or_an_error_of_links(text: str) -> None:
    for whole in (text, "tg://proxy?" + text, url(text, text, text)):
        with suppress(LinkError):
            parse_link(whole)


@given(st.binary(max_size=250))
def test_any_bytes_are_a_secret_or_an_error_of_links(raw: bytes) -> None:
    with suppress(LinkError):
        assert parse_link(url(secret=raw.hex())).secret.key in raw
