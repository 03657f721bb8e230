"""Every way of observing, by name, and all readings of a plan at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from stackctl.handshake import reader as handshake_reader
from stackctl.limits import TABLE, Reader
from stackctl.observe import read_haproxy, read_host, read_kernel, read_telemt
from stackctl.observe.evidence import ReaderFunction
from stackctl.observe.model import Observed, Snapshot

READERS: dict[Reader, ReaderFunction] = {
    Reader.SYSCTL: read_kernel.sysctl,
    Reader.FRESH_SOCKET: read_kernel.fresh_socket,
    Reader.RLIMIT: read_kernel.rlimit,
    Reader.CGROUP: read_kernel.cgroup,
    Reader.LISTENER: read_kernel.listener,
    Reader.ENGINE_RLIMIT: read_host.engine_rlimit,
    Reader.ENGINE_CGROUP: read_host.engine_cgroup,
    Reader.LOGIN_LIMITS: read_host.login_limits,
    Reader.NIC_QDISC: read_host.nic_qdisc,
    Reader.HAPROXY_INFO: read_haproxy.info,
    Reader.HAPROXY_STAT: read_haproxy.stat,
    Reader.HAPROXY_POOL: read_haproxy.pool,
    Reader.HAPROXY_SESSION: read_haproxy.session,
    Reader.HAPROXY_SOCKET: read_haproxy.live_socket,
    Reader.HAPROXY_CONFIG: read_haproxy.config,
    Reader.HAPROXY_SPREAD: read_haproxy.spread,
    Reader.TELEMT_CONFIG: read_telemt.config,
    Reader.TELEMT_READY: read_telemt.ready,
    Reader.LINK_ADDRESS: read_telemt.link_address,
    Reader.CLIENT_ADDRESS: read_telemt.client_address,
    Reader.HANDSHAKE: handshake_reader.handshake,
}
"""Each takes (snapshot, target, read, limit) and never raises: what fails is an Observed too.

Targets are "host", "haproxy", "telemt-N", and "haproxy/telemt-N" for a link.
"""


class Wanted(Protocol):
    """What is needed of a requirement: its limit's key, and the target."""

    @property
    def limit(self) -> str:
        """Key in THE TABLE."""

    @property
    def target(self) -> str:
        """Name of the target."""


def observations(
    snapshot: Snapshot, wanted: Iterable[Wanted]
) -> dict[tuple[str, str], tuple[Observed, ...]]:
    """By (target, limit): one Observed for each of the limit's reads, in the table's order."""
    return {
        (requirement.target, requirement.limit): tuple(
            READERS[read.reader](snapshot, requirement.target, read, TABLE[requirement.limit])
            for read in TABLE[requirement.limit].reads
        )
        for requirement in wanted
    }
