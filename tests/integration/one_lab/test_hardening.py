"""What a container of the stack may do is only what it needs, as its live process shows."""

from __future__ import annotations

import errno
import re
import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from ..conftest import MakeLab, started
from ..lab import UIDS, Lab

TARGETS = ("haproxy", "telemt-1", "telemt-2")

KILL, SETGID, SETUID, NET_BIND_SERVICE = 5, 6, 7, 10
"""Numbers of the capabilities (linux/capability.h) that a port below 1024 takes."""


def low_port() -> int:
    """A port below 1024 that nobody listens on."""
    for port in range(600, 1024):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError("every port below 1024 is taken")


@pytest.fixture(scope="module")
def low(make_shared: MakeLab) -> Lab:
    """A lab on the host's network, with TCP links, that clients reach on a low port."""
    port = low_port()
    return started(replace(make_shared(network="host", link="tcp", listen=port), port=port))


def test_the_master_of_a_low_port_can_tell_its_worker_to_reload(low: Lab) -> None:
    low.reload(lambda text: text.replace("inspect-delay 10s", "inspect-delay 9s"))
    low.reload(lambda text: text.replace("inspect-delay 9s", "inspect-delay 10s"))


def test_a_stack_on_a_low_port_stops_without_being_killed(make_lab: MakeLab) -> None:
    port = low_port()
    lab = started(make_lab(network="host", listen=port, replicas=1))
    haproxy = lab.container("haproxy")
    haproxy.stop()
    haproxy.reload()
    # 137 would be the engine's SIGKILL after stop_grace_period.
    assert haproxy.attrs["State"]["ExitCode"] == 0


@pytest.fixture(params=["lab", "low"])
def either(request: pytest.FixtureRequest) -> Lab:
    """Both labs, one after the other."""
    found: Lab = request.getfixturevalue(request.param)
    return found


def status(pid: int) -> dict[str, str]:
    """/proc/PID/status by its names."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def processes(lab: Lab, target: str) -> list[int]:
    """Every process of a target's container."""
    return [int(row[1]) for row in lab.container(target).top()["Processes"]]


def test_no_process_has_a_capability(lab: Lab) -> None:
    for target in TARGETS:
        for pid in processes(lab, target):
            found = status(pid)
            for held in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
                assert int(found[held], 16) == 0, (target, held)


def test_a_low_port_takes_four_capabilities_and_the_worker_keeps_none(low: Lab) -> None:
    allowed = 1 << KILL | 1 << SETGID | 1 << SETUID | 1 << NET_BIND_SERVICE
    assert int(status(low.pid("haproxy"))["CapBnd"], 16) == allowed
    worker = status(low.worker())
    assert int(worker["CapEff"], 16) == int(worker["CapPrm"], 16) == 0
    assert worker["Uid"].split() == [str(UIDS["haproxy"])] * 4
    for target in TARGETS[1:]:
        assert int(status(low.pid(target))["CapBnd"], 16) == 0


def test_nothing_can_gain_what_it_was_not_given(either: Lab) -> None:
    for target in TARGETS:
        for pid in processes(either, target):
            assert status(pid)["NoNewPrivs"] == "1"
        host = either.container(target).attrs["HostConfig"]
        assert host["Privileged"] is False
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert host["PidMode"] == ""
        assert not host["Devices"]


def test_processes_are_users_without_names_or_rights(lab: Lab) -> None:
    for target in TARGETS:
        uid = str(UIDS[target.partition("-")[0]])
        for pid in processes(lab, target):
            found = status(pid)
            assert found["Uid"].split() == [uid] * 4
            assert found["Gid"].split() == [uid] * 4
            assert set(found["Groups"].split()) <= {uid}


def test_the_root_file_system_is_read_only_even_for_root(either: Lab) -> None:
    for target in TARGETS:
        root = Path(f"/proc/{either.pid(target)}/root")
        for folder in ("", "etc", "usr", "tmp"):
            with pytest.raises(OSError) as refused:
                (root / folder / "written").write_text("")
            assert refused.value.errno == errno.EROFS, (target, folder)


def test_what_is_mounted_from_the_host_is_read_only(either: Lab) -> None:
    for target in TARGETS:
        binds = [m for m in either.container(target).attrs["Mounts"] if m["Type"] == "bind"]
        assert binds
        assert not [m for m in binds if m["RW"]]


def test_links_let_haproxy_in_and_nobody_else(lab: Lab) -> None:
    for target in TARGETS[1:]:
        folder = Path(f"/proc/{lab.pid(target)}/root/run/telemt")
        link = folder / "telemt.sock"
        for path, mode in ((folder, 0o2750), (link, 0o660)):
            found = path.stat()
            assert stat.S_IMODE(found.st_mode) == mode, path
            assert (found.st_uid, found.st_gid) == (UIDS["telemt"], UIDS["haproxy"])
        assert stat.S_ISSOCK(link.stat().st_mode)


def test_the_client_port_is_the_only_one_published(lab: Lab) -> None:
    published = {
        (target, inside, int(outside["HostPort"]))
        for target in TARGETS
        for inside, bindings in lab.container(target).attrs["NetworkSettings"]["Ports"].items()
        for outside in bindings or []
    }
    assert published == {("haproxy", f"{lab.port}/tcp", lab.port)}


def listeners(lab: Lab, target: str) -> Iterator[tuple[str, int]]:
    """Address and port of every TCP socket that a target's processes listen on."""
    inodes = {
        found[1]
        for pid in processes(lab, target)
        for fd in Path(f"/proc/{pid}/fd").iterdir()
        if (found := re.fullmatch(r"socket:\[(\d+)\]", str(fd.readlink())))
    }
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        rows = Path(f"/proc/{lab.pid(target)}/net/{table}").read_text().splitlines()[1:]
        for row in (line.split() for line in rows):
            if row[3] == "0A" and row[9] in inodes:
                address, _, port = row[1].partition(":")
                words = bytes.fromhex(address)
                swapped = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
                yield socket.inet_ntop(family, swapped), int(port, 16)


def test_on_the_hosts_network_only_clients_are_listened_for_beyond_loopback(low: Lab) -> None:
    found = {target: set(listeners(low, target)) for target in TARGETS}
    outside = {
        (target, port)
        for target, pairs in found.items()
        for address, port in pairs
        if not ip_address(address).is_loopback
    }
    assert outside == {("haproxy", low.port)}
    for target in TARGETS[1:]:
        # The link, the API and the metrics: all there, each on the replica's own address.
        assert len({address for address, _ in found[target]}) == 1
        assert len(found[target]) == 3


@pytest.mark.parametrize("port", [9090, 9091])
@pytest.mark.parametrize("path", ["/metrics", "/v1/health", "/v1/health/ready", "/v1/users"])
def test_the_api_and_the_metrics_are_silent_to_the_host(lab: Lab, port: int, path: str) -> None:
    for target in TARGETS[1:]:
        networks = lab.container(target).attrs["NetworkSettings"]["Networks"]
        (address,) = (network["IPAddress"] for network in networks.values())
        with socket.create_connection((address, port), timeout=5) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            try:
                answer = client.recv(65536)
            except ConnectionResetError:
                answer = b""
        # Nothing, or a refusal: never a page.
        assert not re.match(rb"HTTP/1.1 [23]", answer), answer
