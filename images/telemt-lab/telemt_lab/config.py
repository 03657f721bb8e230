"""telemt.toml as the double uses it: frozen values, defaults filled in."""

from dataclasses import dataclass, field
from pathlib import Path

from .address import Address
from .document import Network


@dataclass(frozen=True, slots=True)
class TcpListener:
    """One TCP address for clients."""

    address: Address
    proxy_protocol: bool
    reuse_port: bool


@dataclass(frozen=True, slots=True)
class UnixListener:
    """The unix socket for clients; mode None leaves the permissions to the umask."""

    path: str
    mode: int | None
    proxy_protocol: bool


@dataclass(frozen=True, slots=True)
class Api:
    """The control API. An empty whitelist admits everyone; an empty auth header asks for none."""

    enabled: bool
    address: Address
    whitelist: tuple[Network, ...]
    gray_action: str
    auth_header: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class ClientSocket:
    """Options of an accepted TCP socket: seconds, and when a close sends a reset."""

    keepalive_s: int
    ack_timeout_s: int
    rst_on_close: str


@dataclass(frozen=True, slots=True)
class Modes:
    """The transports that are served: classic, secure (dd) and fake TLS (ee)."""

    classic: bool
    secure: bool
    tls: bool


@dataclass(frozen=True, slots=True)
class UserEntry:
    """A user and the limits on one process. 0 is no limit, but a quota of 0 lets nothing through
    and None is no quota. repr leaves out the secret, so that nothing can print it by accident."""

    name: str
    secret: bytes = field(repr=False)
    enabled: bool
    connections: int
    addresses: int
    quota: int | None


@dataclass(frozen=True, slots=True)
class Access:
    """Users and their limits. address_mode says which addresses count: active_window, time_window
    or combined."""

    users: tuple[UserEntry, ...]
    address_mode: str
    address_window_s: int
    replay_entries: int
    replay_window_s: int
    ignore_time_skew: bool


@dataclass(frozen=True, slots=True)
class Mask:
    """The fallback site; host None is the domain that the client asked for, or the first."""

    enabled: bool
    host: str | None
    port: int
    dynamic: bool
    unix_path: str | None
    shape_hardening: bool
    most_bytes: int
    timeout_ms: int
    idle_ms: int


@dataclass(frozen=True, slots=True)
class Censorship:
    """Fake TLS: the domains shown (the first is in the links) and how the server's flight looks."""

    domains: tuple[str, ...]
    unknown_sni_action: str
    alpn_enforce: bool
    cert_bytes: int
    tickets: int
    delay_ms: tuple[int, int]
    mask: Mask


@dataclass(frozen=True, slots=True)
class Upstream:
    """The way to the data centres: one direct upstream, count of them enabled in the file."""

    count: int
    overrides: dict[int, tuple[Address, ...]]
    default_dc: int
    prefer_six: bool
    fast_mode: bool
    attempts: int
    backoff_ms: int
    budget_ms: int
    connect_timeout_s: int
    unhealthy_after: int


@dataclass(frozen=True, slots=True)
class Config:
    """What the double needs from telemt.toml. Relative paths start in data_path. beobachten_minutes
    is 0 where it is off, first_byte_idle_s 0 where a silent client may stay."""

    path: Path
    data_path: str | None
    tcp: tuple[TcpListener, ...]
    unix: UnixListener | None
    listen_backlog: int
    client_socket: ClientSocket
    trusted: tuple[Network, ...]
    header_timeout_ms: int
    max_connections: int
    permit_timeout_ms: int
    api: Api
    metrics: tuple[Address, ...]
    metrics_whitelist: tuple[Network, ...]
    beobachten_minutes: int
    quota_state_path: str
    modes: Modes
    access: Access
    censorship: Censorship
    upstream: Upstream
    first_byte_idle_s: int
    handshake_timeout_s: int
    warnings: tuple[str, ...]
