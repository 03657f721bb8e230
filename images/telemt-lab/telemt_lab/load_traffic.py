"""The parts of telemt.toml that decide what becomes of a client's bytes."""

import re

from .address import HIGHEST_PORT, Address, socket_address
from .config import Access, Censorship, Mask, Modes, Upstream, UserEntry
from .fields import U32, U64, Section

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_SECRET = re.compile(r"[0-9a-fA-F]{32}")
_NUMBER = re.compile(r"-?\d{1,5}")
_DEFAULT_USERS = {"default": "0" * 32}
# Telemt knows this one beside the five whose addresses are in every client.
_CDN = {203: (("91.105.192.100", 443),)}


def load_modes(modes: Section) -> Modes:
    """Return general.modes. Raises ConfigError where none is left on."""
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
        # The value stays out of the message: it may be a secret with one digit too many.
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
    """Return what is pretended, and to whom strangers go. Raises ConfigError."""
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
    """Return the way to the data centres; an override that is no address is warned of."""
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
