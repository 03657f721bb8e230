"""From telemt.toml to a Config: types, ranges and defaults as Telemt has them."""

import re
from pathlib import Path

from .address import HIGHEST_PORT, Address, socket_address
from .config import (
    Access,
    Api,
    Censorship,
    ClientSocket,
    Config,
    Mask,
    Modes,
    TcpListener,
    UnixListener,
    Upstream,
    UserEntry,
)
from .document import U32, U64, ConfigError, Section, read_document
from .keys import unknown_keys

_OCTAL = re.compile(r"0*([1-7][0-7]{0,3})")
_EVERYONE = ("0.0.0.0/0", "::/0")
_LOOPBACK = ("127.0.0.1/32", "::1/128")


def load(path: Path) -> Config:
    """Read, check and return the configuration.

    Raises ConfigError with one line that names the file and the key.
    """
    try:
        return _load(path)
    except ConfigError as error:
        message = str(error)
        raise ConfigError(
            message if message.startswith(str(path)) else f"{path}: {message}"
        ) from None


def _load(path: Path) -> Config:
    document = read_document(path)
    warnings: list[str] = []
    root = Section(document)
    general = root.section("general")
    unknown = unknown_keys(document)
    strict = general.boolean("config_strict", False)
    if unknown and strict:
        listed = ", ".join(str(key) for key in unknown)
        raise ConfigError(f"unknown keys (general.config_strict is true): {listed}")
    warnings += [f"unknown key ignored: {key}" for key in unknown]

    server = root.section("server")
    timeouts = root.section("timeouts")
    data_path = general.optional_text("data_path")
    if data_path is not None and not data_path.startswith("/"):
        raise general.wrong("data_path", "must be absolute")
    return Config(
        path=path,
        data_path=data_path,
        tcp=_tcp_listeners(server, root.section("network"), warnings),
        unix=_unix_listener(server, warnings),
        listen_backlog=server.integer("listen_backlog", 1024, 1, 2**31 - 1),
        client_socket=ClientSocket(
            # Both must fit a C int, the second in milliseconds.
            keepalive_s=timeouts.integer("client_keepalive", 15, 0, 2**31 - 1),
            ack_timeout_s=timeouts.integer("client_ack", 90, 0, (2**31 - 1) // 1000),
            rst_on_close=general.choice("rst_on_close", "off", ("off", "errors", "always")),
        ),
        trusted=server.networks("proxy_protocol_trusted_cidrs", _EVERYONE),
        header_timeout_ms=server.integer("proxy_protocol_header_timeout_ms", 500, 1, U64),
        max_connections=server.integer("max_connections", 10_000, 0, U32),
        permit_timeout_ms=server.integer("accept_permit_timeout_ms", 250, 0, 60_000),
        api=_api(server),
        metrics=_metrics(server, warnings),
        metrics_whitelist=server.networks("metrics_whitelist", _LOOPBACK),
        beobachten_minutes=general.integer("beobachten_minutes", 10, 0, U64)
        * general.boolean("beobachten", True),
        quota_state_path=general.text("quota_state_path", "telemt.limit.json"),
        modes=load_modes(general.section("modes")),
        access=load_access(root.section("access")),
        censorship=load_censorship(root.section("censorship")),
        upstream=load_upstream(root, warnings),
        first_byte_idle_s=timeouts.integer("client_first_byte_idle_secs", 300, 0, U32),
        handshake_timeout_s=timeouts.integer("client_handshake", 60, 1, U32),
        warnings=tuple(warnings),
    )


def _tcp_listeners(
    server: Section, network: Section, warnings: list[str]
) -> tuple[TcpListener, ...]:
    port = server.integer("port", 443, 0, HIGHEST_PORT)
    by_default = server.boolean("proxy_protocol", False)
    listeners = [
        TcpListener(
            (entry.ip("ip"), entry.integer("port", port, 0, HIGHEST_PORT)),
            entry.boolean("proxy_protocol", by_default),
            entry.boolean("reuse_allow", False),
        )
        for entry in server.sections("listeners")
    ]
    # listen_tcp only decides whether default addresses are used when none is listed. Unset it means
    # true, even beside a unix socket, because Telemt checks listen_addr_ipv4, which is set by
    # default.
    if not listeners and server.boolean("listen_tcp", True):
        for key, address in (("listen_addr_ipv4", "0.0.0.0"), ("listen_addr_ipv6", "::")):
            listeners.append(TcpListener((server.ip(key, address), port), by_default, False))

    families = {4: network.boolean("ipv4", True), 6: network.boolean("ipv6", False)}
    if not any(families.values()):
        raise network.wrong("ipv4", "both address families are disabled")
    skipped = [entry for entry in listeners if not families[_family(entry)]]
    if server.sections("listeners"):
        warnings += [f"listener skipped, [network] disables it: {e.address}" for e in skipped]
    return tuple(entry for entry in listeners if entry not in skipped)


def _family(listener: TcpListener) -> int:
    return 6 if ":" in listener.address[0] else 4


def _unix_listener(server: Section, warnings: list[str]) -> UnixListener | None:
    path = server.optional_text("listen_unix_sock")
    if path is None:
        return None
    mode = None
    permissions = server.optional_text("listen_unix_sock_perm")
    if permissions is not None:
        match = _OCTAL.fullmatch(permissions)
        mode = int(match[1], 8) if match else None
        if match is None:
            warnings.append(f"server.listen_unix_sock_perm is not octal, ignored: {permissions!r}")
    return UnixListener(path, mode, server.boolean("proxy_protocol", False))


def _api(server: Section) -> Api:
    names = [name for name in ("api", "admin_api") if name in server.names()]
    if len(names) == 2:
        raise server.wrong("admin_api", "is another name of server.api; give one of them")
    api = server.section(names[0] if names else "api")
    address = socket_address(api.text("listen", "0.0.0.0:9091"))
    if address is None:
        raise api.wrong("listen", "must be IP:PORT")
    return Api(
        enabled=api.boolean("enabled", True),
        address=address,
        whitelist=api.networks("whitelist", ("127.0.0.0/8",)),
        gray_action=api.choice("gray_action", "drop", ("drop", "api", "200")),
        auth_header=api.text("auth_header", ""),
        read_only=api.boolean("read_only", False),
    )


def _metrics(server: Section, warnings: list[str]) -> tuple[Address, ...]:
    listen = server.optional_text("metrics_listen")
    if listen is not None:
        address = socket_address(listen)
        if address is None:
            warnings.append(f"server.metrics_listen is not IP:PORT, no metrics: {listen!r}")
            return ()
        return (address,)
    if "metrics_port" not in server.names():
        return ()
    port = server.integer("metrics_port", 0, 0, HIGHEST_PORT)
    return (("127.0.0.1", port), ("::1", port))


_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_SECRET = re.compile(r"[0-9a-fA-F]{32}")
_NUMBER = re.compile(r"-?\d{1,5}")
_DEFAULT_USERS = {"default": "0" * 32}
# Telemt knows this data centre besides the five whose addresses are in every client.
_CDN = {203: (("91.105.192.100", 443),)}


def load_modes(modes: Section) -> Modes:
    """Return general.modes. Raises ConfigError where no mode is on."""
    found = Modes(
        modes.boolean("classic", False), modes.boolean("secure", False), modes.boolean("tls", True)
    )
    if not (found.classic or found.secure or found.tls):
        raise modes.wrong("tls", "no mode is enabled; set classic, secure or tls to true")
    return found


def load_access(access: Section) -> Access:
    """Return the users and their limits. Raises ConfigError."""
    names = access.section("users")
    secrets = {name: names.text(name, "") for name in names.names()}
    if "users" not in access.names():
        secrets = _DEFAULT_USERS
    if not secrets:
        raise access.wrong("users", "no users configured")
    every = (
        access.integer("user_max_tcp_conns_global_each", 0, 0, U64),
        access.integer("user_max_unique_ips_global_each", 0, 0, U64),
    )
    for name, secret in secrets.items():
        # The message does not quote the value: it may be a secret with one digit too many.
        if not _SECRET.fullmatch(secret):
            raise names.wrong(name, "a secret is exactly 32 hex digits")
    enabled, quotas = access.section("user_enabled"), access.section("user_data_quota")
    connections = access.section("user_max_tcp_conns")
    addresses = access.section("user_max_unique_ips")
    return Access(
        users=tuple(
            UserEntry(
                name,
                bytes.fromhex(secret),
                enabled.boolean(name, True),
                connections.integer(name, 0, 0, U64) or every[0],
                addresses.integer(name, 0, 0, U64) or every[1],
                quotas.integer(name, 0, 0, U64) if name in quotas.names() else None,
            )
            for name, secret in secrets.items()
        ),
        address_mode=access.choice(
            "user_max_unique_ips_mode",
            "active_window",
            ("active_window", "time_window", "combined"),
        ),
        address_window_s=max(1, access.integer("user_max_unique_ips_window_secs", 30, 0, U32)),
        replay_entries=access.integer("replay_check_len", 65_536, 0, U32),
        replay_window_s=access.integer("replay_window_secs", 120, 0, U32),
        ignore_time_skew=access.boolean("ignore_time_skew", False),
    )


def load_censorship(censorship: Section) -> Censorship:
    """Return the settings of fake TLS and the fallback site. Raises ConfigError."""
    least = censorship.integer("server_hello_delay_min_ms", 8, 0, U32)
    most = censorship.integer("server_hello_delay_max_ms", 24, 0, U32)
    return Censorship(
        domains=_domains(censorship),
        unknown_sni_action=censorship.choice(
            "unknown_sni_action", "drop", ("drop", "mask", "accept", "reject_handshake")
        ),
        alpn_enforce=censorship.boolean("alpn_enforce", True),
        cert_bytes=censorship.integer("fake_cert_len", 2048, 0, U32),
        tickets=censorship.integer("tls_new_session_tickets", 0, 0, 255),
        delay_ms=(min(least, most), most),
        mask=_mask(censorship),
    )


def _domains(censorship: Section) -> tuple[str, ...]:
    found = []
    for key, name in [
        ("tls_domain", censorship.text("tls_domain", "petrovich.ru")),
        *(("tls_domains", name) for name in censorship.texts("tls_domains") if name),
    ]:
        try:
            ascii_name = name.strip().encode("idna" if not name.isascii() else "ascii").decode()
        except UnicodeError:
            ascii_name = ""
        labels = ascii_name.removesuffix(".").split(".")
        if len(ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
            raise censorship.wrong(key, f"{name!r} is not a domain name")
        found.append(ascii_name.lower())
    return tuple(found)


def _mask(censorship: Section) -> Mask:
    host, path = censorship.optional_text("mask_host"), censorship.optional_text("mask_unix_sock")
    if path is not None and host is not None:
        raise censorship.wrong("mask_unix_sock", "give it or mask_host, not both")
    return Mask(
        enabled=censorship.boolean("mask", True),
        host=host,
        port=censorship.integer("mask_port", 443, 0, HIGHEST_PORT),
        dynamic=censorship.boolean("mask_dynamic", True),
        unix_path=path,
        shape_hardening=censorship.boolean("mask_shape_hardening", True),
        most_bytes=censorship.integer("mask_relay_max_bytes", 5 * 2**20, 0, U64),
        timeout_ms=censorship.integer("mask_relay_timeout_ms", 60_000, 1, U64),
        idle_ms=censorship.integer("mask_relay_idle_timeout_ms", 5_000, 1, U64),
    )


def load_upstream(root: Section, warnings: list[str]) -> Upstream:
    """Return the way to the data centres; an override that is not an address gives a warning."""
    general, network = root.section("general"), root.section("network")
    listed = root.sections("upstreams")
    for entry in listed:
        entry.choice("type", "", ("direct", "socks4", "socks5", "shadowsocks"))
    prefer_six = network.integer("prefer", 4, 4, 6) == 6 and network.boolean("ipv6", False)
    return Upstream(
        # No upstream in the file means one direct upstream.
        count=sum(entry.boolean("enabled", True) for entry in listed) if listed else 1,
        overrides=_CDN | _overrides(root.section("dc_overrides"), warnings),
        default_dc=root.integer("default_dc", 2, 0, 255),
        prefer_six=prefer_six,
        fast_mode=general.boolean("fast_mode", True),
        attempts=max(1, general.integer("upstream_connect_retry_attempts", 2, 0, U32)),
        backoff_ms=general.integer("upstream_connect_retry_backoff_ms", 100, 0, U32),
        budget_ms=max(1, general.integer("upstream_connect_budget_ms", 3000, 0, U32)),
        connect_timeout_s=general.integer("tg_connect", 10, 1, U32),
        unhealthy_after=max(1, general.integer("upstream_unhealthy_fail_threshold", 5, 0, U32)),
    )


def _overrides(section: Section, warnings: list[str]) -> dict[int, tuple[Address, ...]]:
    found: dict[int, tuple[Address, ...]] = {}
    for name in section.names():
        addresses = [(text, socket_address(text)) for text in section.one_or_more(name)]
        warnings += [
            f"dc_overrides.{name}: not IP:PORT, ignored: {text!r}"
            for text, address in addresses
            if address is None
        ]
        usable = tuple(address for _, address in addresses if address is not None)
        if _NUMBER.fullmatch(name) and usable:
            found[int(name)] = usable
    return found
