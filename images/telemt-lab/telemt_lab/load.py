"""From telemt.toml to a Config: types, ranges and defaults as Telemt has them."""

import re
from pathlib import Path

from .address import HIGHEST_PORT, Address, socket_address
from .config import Api, ClientSocket, Config, TcpListener, UnixListener
from .document import ConfigError, read_document
from .fields import U32, U64, Section
from .keys import unknown_keys
from .load_traffic import load_access, load_censorship, load_modes, load_upstream

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
            # As far as a C int carries them, the second in milliseconds.
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
    # listen_tcp says only whether addresses are made up when none is listed. Unset it means true
    # even beside a unix socket: Telemt looks whether listen_addr_ipv4 is set, and its default is.
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
