"""telemt.toml as the double uses it: frozen values, defaults filled in, secrets left out."""

from dataclasses import dataclass
from pathlib import Path

from .address import Address
from .fields import Network


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
class Config:
    """What the double needs from telemt.toml. Users by name only: the secrets are checked, then
    forgotten, so that nothing can print them. beobachten_minutes is 0 where it is off."""

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
    users: tuple[str, ...]
    upstreams: int
    warnings: tuple[str, ...]
