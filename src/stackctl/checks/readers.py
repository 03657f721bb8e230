"""Every way of observing, by name, and all readings of a plan at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from stackctl.handshake.stack_records import handshake
from stackctl.limits import TABLE, Reader
from stackctl.observe import haproxy, host, netns, process, telemt
from stackctl.observe.observed import Observed, ReaderFunction
from stackctl.observe.snapshot import Snapshot

READERS: dict[Reader, ReaderFunction] = {
    Reader.SYSCTL: netns.sysctl,
    Reader.FRESH_SOCKET: netns.fresh_socket,
    Reader.RLIMIT: process.rlimit,
    Reader.CGROUP: process.cgroup,
    Reader.LISTENER: netns.listener,
    Reader.ENGINE_RLIMIT: host.engine_rlimit,
    Reader.ENGINE_CGROUP: host.engine_cgroup,
    Reader.LOGIN_LIMITS: host.login_limits,
    Reader.NIC_QDISC: host.nic_qdisc,
    Reader.HAPROXY_INFO: haproxy.info,
    Reader.HAPROXY_STAT: haproxy.stat,
    Reader.HAPROXY_POOL: haproxy.pool,
    Reader.HAPROXY_SESSION: haproxy.session,
    Reader.HAPROXY_SOCKET: haproxy.live_socket,
    Reader.HAPROXY_CONFIG: haproxy.config,
    Reader.HAPROXY_SPREAD: haproxy.spread,
    Reader.TELEMT_CONFIG: telemt.config,
    Reader.TELEMT_READY: telemt.ready,
    Reader.LINK_ADDRESS: telemt.link_address,
    Reader.CLIENT_ADDRESS: telemt.client_address,
    Reader.HANDSHAKE: handshake,
}
"""Each takes (snapshot, target, read, limit) and never raises: a failure is an Observed, too.

Targets are "host", "haproxy", "telemt-N", and "haproxy/telemt-N" for a link.
"""


class Wanted(Protocol):
    """What is needed of a requirement: its limit's key, and the target."""

    @property
    def limit(self) -> str:
        """Key in the limits table."""

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
