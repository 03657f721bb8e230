from pathlib import Path

import pytest

from telemt_lab.config import Config, TcpListener, UnixListener
from telemt_lab.document import ConfigError
from telemt_lab.keys import unknown_keys
from telemt_lab.load import load

SECRET = "00112233445566778899aabbccddeeff"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemt.toml"


def read(path: Path, text: str) -> Config:
    path.write_text(text)
    return load(path)


def error(path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(path, text)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_defaults_are_telemts(path: Path) -> None:
    config = read(path, "")
    assert config.tcp == (TcpListener(("0.0.0.0", 443), False, False),)
    assert config.unix is None
    assert (config.listen_backlog, config.max_connections) == (1024, 10_000)
    assert (config.permit_timeout_ms, config.header_timeout_ms) == (250, 500)
    assert [str(network) for network in config.trusted] == ["0.0.0.0/0", "::/0"]
    assert config.api.enabled
    assert config.api.address == ("0.0.0.0", 9091)
    assert [str(network) for network in config.api.whitelist] == ["127.0.0.0/8"]
    assert config.api.read_only is False
    assert config.metrics == ()
    assert config.beobachten_minutes == 10
    assert config.upstream.count == 1
    assert config.client_socket.rst_on_close == "off"


def test_everything_a_stack_may_write_is_known(path: Path) -> None:
    config = read(
        path,
        f"""
        [general]
        config_strict = true
        use_middle_proxy = false
        middle_proxy_nat_probe = false
        rst_on_close = "errors"
        data_path = "/run/telemt"
        [general.links]
        public_host = "203.0.113.1"
        public_port = 443
        [network]
        stun_use = false
        [server]
        port = 8443
        listen_backlog = 65535
        max_connections = 4096
        listen_unix_sock = "/run/telemt/clients.sock"
        listen_unix_sock_perm = "0660"
        listen_tcp = false
        proxy_protocol = true
        proxy_protocol_trusted_cidrs = ["127.0.0.1", "10.1.2.3/8"]
        metrics_listen = "0.0.0.0:9090"
        [server.api]
        listen = "[::]:9091"
        whitelist = ["10.0.0.0/8"]
        read_only = true
        [server.conntrack_control]
        inline_conntrack_control = false
        [censorship]
        tls_domain = "www.example.com"
        tls_emulation = false
        mask = false
        [access.users]
        anyone = "{SECRET}"
        "bob.2" = "{SECRET.upper()}"
        [[upstreams]]
        type = "direct"
        interface = "eth0"
        [dc_overrides]
        "1" = "10.0.0.9:443"
        "-2" = ["10.0.0.9:443"]
        """,
    )
    assert config.warnings == ()
    assert config.tcp == ()
    assert config.unix == UnixListener("/run/telemt/clients.sock", 0o660, True)
    assert [str(network) for network in config.trusted] == ["127.0.0.1/32", "10.0.0.0/8"]
    assert config.api.address == ("::", 9091)
    assert [user.name for user in config.access.users] == ["anyone", "bob.2"]
    assert "0" * 32 not in repr(config)
    assert config.client_socket.rst_on_close == "errors"
    assert SECRET not in repr(config).lower()


def test_a_unix_socket_alone_does_not_take_the_tcp_listener_away(path: Path) -> None:
    config = read(path, '[server]\nlisten_unix_sock = "/tmp/x"')
    assert [listener.address for listener in config.tcp] == [("0.0.0.0", 443)]


def test_listed_listeners_are_bound_whatever_listen_tcp_says(path: Path) -> None:
    config = read(
        path,
        """
        [server]
        port = 7
        listen_tcp = false
        proxy_protocol = true
        [[server.listeners]]
        ip = "10.0.0.1"
        [[server.listeners]]
        ip = "10.0.0.2"
        port = 8
        proxy_protocol = false
        reuse_allow = true
        [[server.listeners]]
        ip = "::1"
        """,
    )
    assert config.tcp == (
        TcpListener(("10.0.0.1", 7), True, False),
        TcpListener(("10.0.0.2", 8), False, True),
    )
    assert "::1" in config.warnings[0]


def test_ipv6_is_listened_on_once_the_network_section_allows_it(path: Path) -> None:
    config = read(path, "[network]\nipv6 = true")
    assert [listener.address for listener in config.tcp] == [("0.0.0.0", 443), ("::", 443)]


def test_metrics_port_is_loopback_only(path: Path) -> None:
    config = read(path, "[server]\nmetrics_port = 9090")
    assert config.metrics == (("127.0.0.1", 9090), ("::1", 9090))


def test_unknown_keys_are_refused_when_strict_and_told_otherwise(path: Path) -> None:
    text = "[general]\nconfig_strict = {}\n[server]\nmax_conections = 1\n[zzzzzzzzzzzz]\n"
    assert error(path, text.format("true")).endswith(
        "zzzzzzzzzzzz, server.max_conections (did you mean `max_connections`?)"
    )
    assert len(read(path, text.format("false")).warnings) == 2


def test_unknown_keys_are_found_in_lists_and_tables() -> None:
    document: dict[str, object] = {
        "server": {"listeners": [{"ip": "::"}, {"ips": "::"}], "admin_api": {"listn": 1}},
        "access": {"user_rate_limits": {"bob": {"up": 1}}, "users": {"anything": "goes"}},
        "dc_overrides": {"203": "a:1"},
    }
    assert [key.path for key in unknown_keys(document)] == [
        "server.listeners[1].ips",
        "access.user_rate_limits.bob.up",
        "server.admin_api.listn",
    ]


def test_includes_are_pasted_relative_to_their_own_file(path: Path) -> None:
    inner = path.parent / "inner"
    inner.mkdir()
    (inner / "server.toml").write_text('[server]\ninclude="port.toml"\n')
    (inner / "port.toml").write_text("port = 1234\n")
    config = read(path, '  include = "inner/server.toml"\nmax_connections = 5\n')
    assert config.tcp[0].address[1] == 1234
    assert config.max_connections == 5


@pytest.mark.parametrize(("depth", "works"), [(10, True), (11, False)])
def test_includes_end_at_ten(path: Path, depth: int, works: bool) -> None:
    for at in range(depth):
        (path.parent / f"{at}.toml").write_text(f'include = "{at + 1}.toml"\n')
    (path.parent / f"{depth}.toml").write_text("[server]\nport = 9\n")
    text = "\n".join(['include = "1.toml"'])
    if works:
        assert read(path, text).tcp[0].address[1] == 9
    else:
        with pytest.raises(ConfigError, match="deeper than 10"):
            read(path, text)


def test_a_file_that_includes_itself_is_an_error(path: Path) -> None:
    assert "deeper" in error(path, 'include = "telemt.toml"')


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("port = ", "not valid TOML"),
        ('include = "nowhere"', "nowhere"),
        ("server = 3", "server: must be a table"),
        ("[server]\nport = 65536", "server.port"),
        ("[server]\nport = true", "server.port"),
        ('[server]\nport = "443"', "server.port"),
        ("[server]\nlisten_backlog = 0", "server.listen_backlog"),
        ("[server]\nlisten_backlog = 2147483648", "server.listen_backlog"),
        ("[server]\nmax_connections = -1", "server.max_connections"),
        ("[server]\naccept_permit_timeout_ms = 60001", "server.accept_permit_timeout_ms"),
        ("[server]\nproxy_protocol_header_timeout_ms = 0", "header_timeout_ms"),
        ("[server]\nproxy_protocol = 1", "server.proxy_protocol"),
        ('[server]\nproxy_protocol_trusted_cidrs = ["lan"]', "trusted_cidrs"),
        ('[server]\nproxy_protocol_trusted_cidrs = "::/0"', "trusted_cidrs"),
        ("[[server.listeners]]\nport = 1", "server.listeners[0].ip: is required"),
        ('[[server.listeners]]\nip = "here"', "server.listeners[0].ip"),
        ("[server]\nlisteners = 3", "server.listeners"),
        ('[server.api]\nlisten = "localhost:1"', "server.api.listen"),
        ('[server.api]\nlisten = "1.2.3.4:70000"', "server.api.listen"),
        ('[server.api]\nlisten = "1.2.3:1"', "server.api.listen"),
        ("[server.api]\n[server.admin_api]", "server.admin_api"),
        ('[general]\nrst_on_close = "sometimes"', "general.rst_on_close"),
        ('[general]\ndata_path = "here"', "general.data_path"),
        ('[general]\nconfig_strict = "yes"', "general.config_strict"),
        ("[general.modes]\ntls = false", "general.modes.tls"),
        ("[network]\nipv4 = false", "network.ipv4"),
        ("[access.users]", "no users"),
        ('[[upstreams]]\ntype = "tunnel"', "upstreams[0].type"),
        ('[censorship]\ntls_domain = "a b"', "censorship.tls_domain"),
        ('[censorship]\ntls_domain = ""', "censorship.tls_domain"),
        ('[censorship]\ntls_domain = "https://a.b/"', "censorship.tls_domain"),
        ('[censorship]\ntls_domains = ["-"]', "censorship.tls_domains"),
    ],
)
def test_each_mistake_is_one_line_that_names_the_key(path: Path, text: str, named: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("secret", [SECRET[:-1], SECRET + "0", SECRET[:-1] + "g", "ee" + SECRET])
def test_a_wrong_secret_is_refused_and_not_shown(path: Path, secret: str) -> None:
    message = error(path, f'[access.users]\nbob = "{secret}"')
    assert "access.users.bob" in message
    assert secret not in message


def test_a_domain_may_be_international(path: Path) -> None:
    assert read(path, '[censorship]\ntls_domain = "пример.рф"').warnings == ()


@pytest.mark.parametrize("permissions", ["0", "rw", "0999"])
def test_permissions_that_are_not_octal_are_ignored_aloud(path: Path, permissions: str) -> None:
    config = read(
        path,
        f'[server]\nlisten_unix_sock = "x"\nlisten_unix_sock_perm = "{permissions}"',
    )
    assert config.unix == UnixListener("x", None, False)
    assert "listen_unix_sock_perm" in config.warnings[0]


def test_metrics_without_a_usable_address_are_left_out_aloud(path: Path) -> None:
    config = read(path, '[server]\nmetrics_listen = "here"')
    assert config.metrics == ()
    assert "metrics_listen" in config.warnings[0]


@pytest.mark.parametrize(
    ("lines", "minutes"),
    [("beobachten_minutes = 3", 3), ("beobachten = false", 0), ("beobachten_minutes = 0", 0)],
)
def test_failed_handshakes_are_counted_for_minutes_or_not(
    path: Path, lines: str, minutes: int
) -> None:
    assert read(path, f"[general]\n{lines}").beobachten_minutes == minutes
