"""Errors that only an engine can show: reported before anything starts, with the remedy."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from ..conftest import TELEMT, MakeLab, free_port, leftovers
from ..lab import Lab, stackctl

NR_OPEN = int(Path("/proc/sys/fs/nr_open").read_text())


def refused(lab: Lab, status: int, *args: str) -> str:
    """The message of an `up` that starts nothing: every line is for the operator."""
    done = lab.run("up", *args)
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert leftovers(lab.name) == []
    assert not lab.rendered.exists(), "rendered, and then refused"
    message = done.stderr[done.stderr.index("error: ") :]
    assert "\n  do: " in message
    return message


@pytest.mark.parametrize("network", ["bridge", "host"])
def test_a_port_in_use_is_named_before_anything_starts(make_lab: MakeLab, network: str) -> None:
    lab = make_lab(network=network)
    with socket.create_server(("0.0.0.0", lab.port)):
        message = refused(lab, 2)
    assert message.startswith(f"error: listen: port {lab.port} is in use")


def test_a_port_taken_on_another_address_is_no_obstacle(make_lab: MakeLab) -> None:
    port = free_port()
    lab = make_lab(network="host", listen=f"127.0.0.1:{port}")
    with socket.create_server(("127.0.0.2", port)):
        done = lab.run("up")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_a_second_stack_of_one_name_leaves_the_first_alone(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "stack.yaml").write_text(
        f"name: {lab.name}\nconnections: 100\nlisten: {free_port()}\n"
    )
    assert stackctl("init", "--secrets-only", cwd=tmp_path).returncode == 0
    before = [lab.container(t).id for t in ("haproxy", "telemt-1", "telemt-2")]
    for command, way_out in (("up", "another name"), ("down", "--force")):
        done = stackctl(command, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"error: name: another stack called '{lab.name}' runs" in done.stderr
        assert str(lab.folder) in done.stderr
        assert way_out in done.stderr[done.stderr.index("\n  do: ") :]
    assert [lab.container(t).id for t in ("haproxy", "telemt-1", "telemt-2")] == before
    assert not (tmp_path / ".stackctl").exists()
    assert lab.wrong() == []


def test_a_subnet_in_use_is_named(lab: Lab, make_lab: MakeLab) -> None:
    taken = json.loads(lab.run("plan", "--json").stdout)["subnet"]
    message = refused(make_lab(subnet=taken), 2)
    assert message.startswith(f"error: subnet: {taken} overlaps {taken}")


def test_descriptors_above_nr_open_are_a_mistake_in_the_file(make_lab: MakeLab) -> None:
    above = NR_OPEN + 1
    lab = make_lab(limits=f"{{mode: fit, nofile: {{soft: {above}, hard: {above}}}}}")
    message = refused(lab, 2)
    assert message.startswith(f"error: limits.nofile: {above} is above this host's fs.nr_open")
    assert str(NR_OPEN) in message


def test_more_connections_than_the_engine_has_descriptors_for(
    make_lab: MakeLab, granted_nofile: int
) -> None:
    message = refused(make_lab(connections=granted_nofile, replicas=8), 2)
    assert message.startswith(f"error: connections: {granted_nofile} connections need ")
    assert str(granted_nofile) in message


def short_of_the_plan(lab: Lab) -> list[str]:
    """Limits that the running host is short of, by the plan's numbers and /proc/sys alone."""
    planned = json.loads(lab.run("plan", "--json").stdout)["requirements"]
    found = []
    for row in planned:
        file = Path("/proc/sys") / row["limit"].replace(".", "/")
        if row["target"] == "host" and file.exists() and isinstance(row["wanted"], int):
            # Timeouts may be lower, so only what has to be larger is judged here.
            larger = "timeout" not in row["limit"]
            if larger and int(file.read_text()) < row["wanted"]:
                found.append(row["limit"])
    return found


def test_strict_starts_nothing_where_a_limit_cannot_be_had(
    make_lab: MakeLab, granted_nofile: int
) -> None:
    lab = make_lab(telemt=TELEMT)
    short = short_of_the_plan(lab)
    if granted_nofile >= 1048576 and not short:
        # A prepared host: strict has no reason to refuse, and must not.
        assert lab.run("up", "--strict").returncode == 0
        return
    message = refused(lab, 1, "--strict")
    assert message.startswith("error: strict mode: nothing was started")
    if granted_nofile < 1048576:
        assert f"limits.nofile: this engine can grant at most {granted_nofile}" in message
        assert "CAP_SYS_RESOURCE" in message
    else:
        assert "the host is short of\n" in message
        assert all(f" {limit}: wanted " in message for limit in short)
    assert "--fit" in message


def test_strict_looks_at_the_host_before_anything_starts(
    make_lab: MakeLab, granted_nofile: int
) -> None:
    nofile = f"{{soft: {granted_nofile}, hard: {granted_nofile}}}"
    lab = make_lab(
        telemt=TELEMT,
        limits=f"{{mode: strict, nofile: {nofile}, nproc: {{soft: 4096, hard: 4096}}}}",
    )
    short = short_of_the_plan(lab)
    if not short:
        assert lab.run("up").returncode == 0
        return
    message = refused(lab, 1)
    assert "nothing was started; the host is short of\n" in message
    for limit in short:
        assert f" {limit}: wanted " in message
    assert "stackctl host apply" in message


def test_fit_and_strict_exclude_each_other(make_lab: MakeLab) -> None:
    assert "--fit and --strict" in refused(make_lab(), 2, "--fit", "--strict")
