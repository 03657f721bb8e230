"""What the probe is asked."""

from __future__ import annotations

import json

from stackctl.limits import TABLE, Reader, Role
from stackctl.observe.request import (
    ProbeClients,
    ProbeHaproxy,
    ProbeReplica,
    probe_request,
    sysctl_keys,
)


def test_without_a_stack_the_host_is_asked_for_every_key() -> None:
    request = probe_request(clients=ProbeClients(inside=("127.0.0.1", 8443)))
    every = {
        read.arg for limit in TABLE.values() for read in limit.reads if read.reader is Reader.SYSCTL
    }
    assert set(request["host"]["sysctls"]) == every
    assert request["targets"] == []
    # There is nobody to connect to.
    assert request["client"] is None


def test_also() -> None:
    request = probe_request(also=("net.ipv4.ip_unprivileged_port_start",))
    assert request["host"]["sysctls"][-1] == "net.ipv4.ip_unprivileged_port_start"


def test_targets_are_asked_for_their_roles_keys() -> None:
    inside = ("127.0.0.1", 9091), ("127.0.0.1", 9090)
    request = probe_request(
        ProbeHaproxy(10, "a" * 64, 8443),
        [
            ProbeReplica("telemt-1", 11, "b" * 64, *inside, "/run/telemt/t.sock"),
            ProbeReplica("telemt-2", 12, "c" * 64, *inside, ("0.0.0.0", 9443)),
        ],
        ProbeClients(("192.0.2.2", 443), ("127.0.0.1", 8443)),
        connections=250_000,
    )
    assert request["connections"] == 250_000
    haproxy, first, second = request["targets"]
    assert (haproxy["name"], haproxy["port"], haproxy["backend"]) == ("haproxy", 8443, "telemt")
    assert haproxy["sysctls"] == list(sysctl_keys(Role.HAPROXY))
    assert first["sysctls"] == list(sysctl_keys(Role.TELEMT))
    assert "net.ipv4.tcp_congestion_control" in haproxy["sysctls"]
    assert "fs.nr_open" not in first["sysctls"]
    assert first["listener"] == {"unix": "/run/telemt/t.sock"}
    assert (first["api"], first["metrics"]) == (["127.0.0.1", 9091], ["127.0.0.1", 9090])
    assert second["listener"] == {"tcp": ["0.0.0.0", 9443], "ports": 1}
    assert request["client"] == {"published": ["192.0.2.2", 443], "inside": ["127.0.0.1", 8443]}
    assert json.loads(json.dumps(request)) == request
