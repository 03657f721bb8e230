"""haproxy.cfg and telemt.toml."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.limits import Kind
from stackctl.observe.configfile import haproxy_directive, haproxy_value, toml_value
from stackctl.observe.observed import ParseError
from tests.unit import captured

PROPERTY = settings(max_examples=80)

CFG = """
global
    tune.bufsize 16384
defaults
    timeout client 10s   # not yet
    timeout client 1h
    default-server inter 5s maxconn 10
frontend clients
    bind :443
frontend health
    timeout client 7s
backend telemt
    default-server maxconn 20 inter 6s
    server telemt-1 unix@/a check
    server telemt-2 unix@/b check
backend other
    default-server inter 99s
"""


def directive(name: str, text: str = CFG) -> str:
    return haproxy_directive(text, name, "clients", "telemt")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tune.bufsize", "16384"),
        ("timeout client", "1h"),
        ("inter", "6s"),
        ("maxconn", "20"),
    ],
)
def test_directive(name: str, value: str) -> None:
    assert directive(name) == value


def test_captured() -> None:
    text = captured.configuration("haproxy")
    assert directive("timeout client-fin", text) == "10s"
    assert directive("inter", text) == "5s"
    assert directive("tune.maxaccept", text) == "64"


def test_the_frontends_own_counts_over_defaults_wherever_it_stands() -> None:
    text = "frontend clients\n timeout client 5s\ndefaults\n timeout client 1h\n"
    assert directive("timeout client", text) == "5s"


def test_one_server_that_departs_is_reported() -> None:
    assert directive("inter", CFG.replace("/a check", "/a check inter 60s")) == "60s"


def test_a_server_of_the_name_of_a_directive_is_none() -> None:
    text = "backend telemt\n default-server inter 5s\n server inter unix@/a\n"
    assert directive("inter", text) == "5s"


def test_comments_and_quotes() -> None:
    text = "# timeout client 1s, isn't it\ndefaults\n timeout 'client' \"2s\"\n"
    assert directive("timeout client", text) == "2s"


@pytest.mark.parametrize("name", ["timeout queue", "", "fall"])
def test_missing(name: str) -> None:
    with pytest.raises(ParseError):
        directive(name)


def test_broken_line_is_named() -> None:
    with pytest.raises(ParseError, match="line 2"):
        directive("maxconn", "global\n maxconn '5\n")


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        (Kind.SECONDS, "3600s", 3600),
        (Kind.SECONDS, "1h", 3600),
        (Kind.SECONDS, "5000", 5),
        (Kind.SECONDS, "2000000us", 2),
        (Kind.MILLISECONDS, "1s", 1000),
        (Kind.COUNT, "64", 64),
        (Kind.BYTES, "16k", 16384),
        (Kind.WORD, "source", "source"),
    ],
)
def test_value(kind: Kind, word: str, value: int | str) -> None:
    assert haproxy_value(kind, word) == value


@pytest.mark.parametrize(
    ("kind", "word"),
    [(Kind.SECONDS, "1500ms"), (Kind.SECONDS, "soon"), (Kind.COUNT, "-1"), (Kind.BYTES, "1t")],
)
def test_no_value(kind: Kind, word: str) -> None:
    with pytest.raises(ParseError):
        haproxy_value(kind, word)


def test_toml() -> None:
    text = "[server]\nmax_connections = 3200\nproxy_protocol = true\nname = 'x'\n"
    assert toml_value(text, "server.max_connections") == 3200
    assert toml_value(text, "server.proxy_protocol") == 1
    assert toml_value(text, "server.name") == "x"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "server = 1",
        "[server]\n",
        "[server]\nmax_connections = [1]",
        "no toml",
        "a=" + "[" * 5000,
    ],
)
def test_no_toml(text: str) -> None:
    with pytest.raises(ParseError):
        toml_value(text, "server.max_connections")


@PROPERTY
@given(st.text(), st.text(max_size=20), st.sampled_from(Kind))
def test_garbage(text: str, word: str, kind: Kind) -> None:
    for attempt in (
        lambda: directive(word, text),
        lambda: haproxy_value(kind, word),
        lambda: toml_value(text, word),
    ):
        with contextlib.suppress(ParseError):
            attempt()


@PROPERTY
@given(st.text(alphabet="dgefault-srvinox 0123456789'\"#\\\n", max_size=200))
def test_almost_a_configuration(text: str) -> None:
    with contextlib.suppress(ParseError):
        directive("inter", "defaults\n" + text)
