"""The machine beside its limits: what it tracks, its clock, security modules, memory."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from stackctl.collector import engine, host
from stackctl.collector.answer import Reading
from stackctl.collector.process import ProcEntry, walk

SHIM = os.getpid()


def answering(answer: Exception | bytes) -> type[socket.socket]:
    """Real sockets, but for what the kernel says of SO_ORIGINAL_DST."""

    class Answering(socket.socket):
        def getsockopt(self, *_args: Any) -> Any:
            assert self.getpeername()[1], "asked before it was connected"
            if isinstance(answer, Exception):
                raise answer
            return answer

    return Answering


@pytest.mark.parametrize(
    ("answer", "reading"),
    [
        (bytes(28), Reading(1)),
        (FileNotFoundError(errno.ENOENT, "no entry"), Reading(0)),
        (
            OSError(errno.ENOPROTOOPT, "x"),
            Reading(error="ENOPROTOOPT: Protocol not available"),
        ),
    ],
)
def test_a_connection_is_looked_up_by_its_own_addresses(
    answer: Exception | bytes, reading: Reading[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stackctl.collector.host.socket.socket", answering(answer))
    assert host.tracking().ipv4 == reading


def test_a_listener_that_cannot_be_made_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = (socket.AF_INET, "192.0.2.1", 0)
    monkeypatch.setattr(host, "_LOOPBACK", {"ipv4": nowhere, "ipv6": nowhere})
    assert host.tracking().ipv4.error.startswith("EADDRNOTAVAIL")


def test_the_kernels_clock() -> None:
    found = host.clock()
    # What the kernel promises of these fields: a state of adjtimex(2), and no negative errors.
    assert 0 <= found.state <= 5
    assert found.maxerror >= 0
    assert found.esterror >= 0
    # STA_UNSYNC and the state TIME_ERROR go together where no pulse is counted.
    if found.status & 0x40:
        assert found.state == 5


def test_what_keeps_the_clock_is_found_by_name() -> None:
    names = ["sh", "systemd-timesyn", "sh"]
    assert host.keepers([ProcEntry(n, comm, 1, 0, "") for n, comm in enumerate(names)]) == (
        "systemd-timesyn",
    )
    assert host.keepers([]) == ()


def test_security_of_a_machine_without_modules(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parser = tmp_path / "apparmor_parser"
    monkeypatch.setattr(host, "_PARSERS", (str(parser), "/no/such/parser"))
    assert host.security(SHIM).parser == Reading(())
    parser.touch()
    found = host.security(SHIM)
    assert found.parser == Reading((str(parser),))
    assert found.selinux.path == "/sys/fs/selinux/enforce"
    for reading in (found.lsm, found.apparmor, found.selinux, found.label):
        assert (reading.value is None) == bool(reading.error)


def test_the_host_with_everything() -> None:
    found = host.collect([], walk(), SHIM, counted=True)
    assert 0 < found.memory_available.get("available") <= found.memory.get("memory")
    assert "Max open files" in found.unsaid.get("limits")
    assert all(" - cgroup" in line for line in found.cgroups.get("cgroups").splitlines())
    assert found.engine.proxies == engine.proxies(walk().values())
    assert found.counters is not None
    assert "TcpExt:" in found.counters.netstat.get("netstat")
    assert len(found.file_nr.get("file-nr").split()) == 3


MEMINFO = "MemTotal: 100 kB\nMemFree: 10 kB\nMemAvailable: 60 kB\nBuffers: 5 kB\nCached: 20 kB\n"


@pytest.fixture
def proc(tmp_path: Path) -> str:
    """A made-up /proc."""
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "self").mkdir()
    mounts = "1 2 0:3 / /a rw - tmpfs x rw\n4 2 0:3 / /c rw - cgroup2 x rw\n"
    (tmp_path / "self/mountinfo").write_text(mounts)
    ipv4 = tmp_path / "sys/net/ipv4"
    ipv4.mkdir(parents=True)
    (ipv4 / "ip_local_port_range").write_text("1024\t65000\n")
    (tmp_path / "sys/net/netfilter").mkdir()
    (tmp_path / "sys/net/netfilter/nf_conntrack_count").write_text("7\n")
    return str(tmp_path)


def test_memory(proc: str) -> None:
    assert host.memory("MemAvailable", proc) == Reading(60 * 1024, path=f"{proc}/meminfo")
    assert host.memory_in_use(proc) == Reading(65 * 1024, path=f"{proc}/meminfo")
    Path(proc, "meminfo").write_text("MemTotal: 1 kB\n")
    assert host.memory("MemAvailable", proc).error == f"no MemAvailable in {proc}/meminfo"
    assert "MemFree" in host.memory_in_use(proc).error
    Path(proc, "meminfo").unlink()
    assert host.memory("MemTotal", proc).error.startswith("ENOENT")


def test_local_ports(proc: str) -> None:
    assert host.port_range(proc) == Reading((1024, 65000))
    assert host.port_range(f"{proc}/none").error.startswith("ENOENT")


def test_what_the_machine_tells_without_an_engine(proc: str) -> None:
    found = host.local(["net.ipv4.ip_local_port_range", "no.such"], proc)
    assert found.kernel == os.uname().release
    assert found.memory.value == 100 * 1024
    assert found.sysctls["net.ipv4.ip_local_port_range"].value == "1024\t65000\n"
    assert found.sysctls["no.such"].error.startswith("ENOENT")
    assert found.cgroups.value == "4 2 0:3 / /c rw - cgroup2 x rw"
    assert found.tracking.count.value == "7\n"
    assert found.tracking.ipv4.error == found.cards.error == "no engine answers"
    assert found.engine.starter.limits.error == "no engine answers"
