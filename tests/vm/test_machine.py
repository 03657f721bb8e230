"""The machines have what the tests of a host rely on, and their harness does what it says."""

from __future__ import annotations

import re
import secrets
import subprocess
from pathlib import Path

import pytest

from .conftest import on_debian_12
from .image import Suite
from .machine import Machine
from .ssh import CommandError

DOCKER = {Suite.TRIXIE: "26.", Suite.BOOKWORM: "20.10."}
KERNEL = {Suite.TRIXIE: "6.12.", Suite.BOOKWORM: "6.1."}
COMPOSE = {Suite.TRIXIE: "2.26.", Suite.BOOKWORM: "2.40."}

# A container image of the machine's own busybox and the libraries it asks for.
IMPORT_BUSYBOX = """set -e
root=$(mktemp -d)
cp -L --parents /usr/bin/busybox $(ldd /usr/bin/busybox | grep -o '/[^ ]*') "$root"
mkdir -p "$root/lib64" "$root/proc" "$root/bin"
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64"
ln -s ../usr/bin/busybox "$root/bin/sh"
ln -s ../usr/bin/busybox "$root/bin/cat"
tar -c -C "$root" . | docker import - vm-busybox:test >&2
rm -rf "$root"
"""


def said(machine: Machine, command: str) -> str:
    """What a command that succeeds prints, without the last newline."""
    return machine.run(command).stdout.strip()


def test_it_is_up_as_root_with_every_unit_settled(machine: Machine) -> None:
    assert said(machine, "id -u") == "0"
    assert machine.failed_units == ()
    assert said(machine, "systemctl is-system-running") == "running"


def test_kernel_engine_and_compose_are_the_suites(machine: Machine, suite: Suite) -> None:
    assert said(machine, "uname -r").startswith(KERNEL[suite])
    engine = said(machine, "docker version --format '{{.Server.Version}}'")
    assert engine.startswith(DOCKER[suite])
    assert said(machine, "docker compose version --short").startswith(COMPOSE[suite])
    assert said(machine, "stat -fc %T /sys/fs/cgroup") == "cgroup2fs"
    assert said(machine, "docker info --format '{{.CgroupVersion}}'") == "2"


def test_it_has_the_shells_and_a_route_but_no_swap(machine: Machine) -> None:
    assert said(machine, "dash -c 'echo $0'") == "dash"
    assert said(machine, "busybox sh -c 'echo ${0##*/}'") == "sh"
    assert re.match(r"default via \S+ dev e", said(machine, "ip route show default"))
    assert said(machine, "tail -n +2 /proc/swaps") == ""


@on_debian_12
def test_a_failed_command_is_an_error_that_says_why(machine: Machine) -> None:
    with pytest.raises(CommandError, match=r"(?s)ended with 2.*No such file"):
        machine.run("ls /none")
    assert machine.run("exit 7", check=False).returncode == 7
    with pytest.raises(CommandError, match=r"not done in 0\.5 s"):
        machine.run("sleep 20", timeout=0.5)
    assert machine.run("cat", input="two\nlines\n").stdout == "two\nlines\n"


@on_debian_12
def test_files_and_folders_come_back_as_they_went(machine: Machine, tmp_path: Path) -> None:
    sent = tmp_path / "it's sent"
    (sent / "below").mkdir(parents=True)
    (sent / "mebibyte").write_bytes(secrets.token_bytes(1 << 20))
    (sent / "below" / "tool").write_text("#!/bin/sh\n")
    (sent / "below" / "tool").chmod(0o750)
    machine.put(sent, "/root/vm test/folder")
    machine.put(sent / "mebibyte", "/root/vm test/folder/mebibyte")  # replaces
    assert said(machine, "stat -c '%a %U' '/root/vm test/folder/below/tool'") == "750 root"
    machine.get("/root/vm test/folder", tmp_path / "back")
    assert (tmp_path / "back/mebibyte").read_bytes() == (sent / "mebibyte").read_bytes()
    assert (tmp_path / "back/below/tool").stat().st_mode & 0o777 == 0o750
    assert said(machine, "ls -A '/root/vm test'; rm -r '/root/vm test'") == "folder"


@on_debian_12
def test_a_new_login_has_the_limits_of_that_moment(machine: Machine) -> None:
    before = said(machine, "ulimit -Hn")
    machine.run("echo 'root hard nofile 77777' >/etc/security/limits.d/vm-test.conf")
    try:
        assert said(machine, "ulimit -Hn") == before
        machine.disconnect()
        assert said(machine, "ulimit -Hn") == "77777"
    finally:
        machine.run("rm /etc/security/limits.d/vm-test.conf")
        machine.disconnect()
    assert said(machine, "ulimit -Hn") == before


@on_debian_12
def test_a_container_gets_the_production_nofile(machine: Machine) -> None:
    machine.run(IMPORT_BUSYBOX)
    run = "docker run --rm --ulimit nofile=1048576:1048576 vm-busybox:test cat /proc/self/limits"
    limits = said(machine, run)
    machine.run("docker rmi vm-busybox:test")
    assert re.search(r"^Max open files +1048576 +1048576 ", limits, re.M)


def test_the_hosts_tools_reach_its_engine(machine: Machine, suite: Suite) -> None:
    with machine.docker_host() as address:
        argv = ["docker", "--host", address, "version", "--format", "{{.Server.Version}}"]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(DOCKER[suite])
    assert not Path(address.removeprefix("unix://")).exists()


def test_its_engine_has_the_images_that_were_sent_and_no_others(
    machine: Machine, container_images: tuple[str, ...]
) -> None:
    listed = said(machine, "docker images --format '{{.Repository}}:{{.Tag}}'")
    assert sorted(listed.splitlines()) == sorted(container_images)
    assert len(container_images) == 5
