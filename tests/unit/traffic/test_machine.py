"""Which resources a load can use."""

from __future__ import annotations

from pathlib import Path

from stackctl.traffic.machine import read_machine


def test_the_machine(tmp_path: Path) -> None:
    (tmp_path / "sys/fs").mkdir(parents=True)
    (tmp_path / "sys/fs/file-nr").write_text("500\t0\t2000\n")
    (tmp_path / "sys/net/ipv4").mkdir(parents=True)
    (tmp_path / "sys/net/ipv4/ip_local_port_range").write_text("32768\t60999\n")
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 400 kB\n")
    machine = read_machine(tmp_path)
    assert (machine.port_range, machine.files_free) == ((32768, 60999), 1500)
    assert machine.memory_available == 400 * 1024
    assert machine.cpus >= 1
    assert machine.nofile >= 1
