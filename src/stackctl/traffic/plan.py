"""A load → processes, source addresses and deadlines, or a refusal. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address
from math import ceil

from stackctl.errors import PlanError
from stackctl.plan.sizes import KERNEL_BYTES, PORT_SHARE, usable_ports
from stackctl.traffic.model import Load, LoadPlan, Machine, Share, Target

OWN_DESCRIPTORS = 64
"""Descriptors of a process besides its connections: pipes, epoll, the interpreter's files."""

PREFERRED_SHARE = 500
"""Connections below which another process costs more than it helps."""

SOURCES_A_REPLICA = 64
"""With `balance: source` a client's address decides its replica. This many addresses for each give
every replica its share, an eighth more or less. With 16 one of eight replicas gets a quarter more,
and the load stops at its maxconn."""

SLOWEST = 100
"""An opening without a rate has failed when it is slower than this, in connections a second."""

FIRST_SOURCE = IPv4Address("127.0.1.1")
"""No stack with `network: host` has addresses in 127.0.0.0/16."""


def plan_load(load: Load, target: Target, machine: Machine) -> LoadPlan:
    """Decide how this machine makes the load.

    Raises:
        PlanError: it cannot make it; the error says what would help.
    """
    _check_asked(load)
    _check_machine(load, machine)
    warnings: list[str] = []
    if load.handshake == "none":
        warnings.append(
            "with handshake none the fallback site closes each connection after its answer, so "
            "connections are opened but not held; secure and tls are held"
        )
    sources = _sources(load, target, machine, warnings)
    return LoadPlan(
        load=load,
        target=target,
        shares=_shares(load, machine),
        sources=sources,
        open_seconds=_open_seconds(load),
        warnings=tuple(warnings),
    )


def source_addresses(count: int) -> tuple[str, ...]:
    """The first source addresses of the range for loads; none ends in 0 or 255."""
    return tuple(str(FIRST_SOURCE + 256 * (n // 254) + n % 254) for n in range(count))


def _check_asked(load: Load) -> None:
    if load.connections < 1:
        raise PlanError("--connections", f"{load.connections} is below 1", "give 1 or more")
    if load.burst and load.rate:
        raise PlanError("--burst", "--burst and --rate exclude each other", "give one of them")


def _check_machine(load: Load, machine: Machine) -> None:
    if machine.nofile <= OWN_DESCRIPTORS:
        raise PlanError(
            "nofile",
            f"the hard limit of a process here is {machine.nofile} descriptors",
            f"raise it above {OWN_DESCRIPTORS} (`ulimit -Hn` shows it)",
        )
    if machine.files_free < load.connections + OWN_DESCRIPTORS:
        raise PlanError(
            "--connections",
            f"{load.connections} connections need as many open files, and the machine has "
            f"{machine.files_free} left below fs.file-max",
            "raise fs.file-max (`stackctl host apply`), or open fewer connections",
        )
    # The stack itself needs memory on top; below this the load cannot succeed.
    needed = load.connections * KERNEL_BYTES["unix"]
    if machine.memory_available < needed:
        raise PlanError(
            "--connections",
            f"{load.connections} connections take {needed >> 20} MiB in the kernel alone, and "
            f"{machine.memory_available >> 20} MiB are available",
            f"open {machine.memory_available // KERNEL_BYTES['unix']} at most, or free memory",
        )


def _shares(load: Load, machine: Machine) -> tuple[Share, ...]:
    """One process for each cpu if the load is large enough; more where descriptors require it."""
    room = machine.nofile - OWN_DESCRIPTORS
    useful = min(machine.cpus, ceil(load.connections / PREFERRED_SHARE))
    processes = max(1, useful, ceil(load.connections / room))
    each, more = divmod(load.connections, processes)
    shares, first = [], 0
    for number in range(processes):
        connections = each + (number < more)
        shares.append(Share(first, connections))
        first += connections
    return tuple(shares)


def _sources(load: Load, target: Target, machine: Machine, warnings: list[str]) -> tuple[str, ...]:
    ports = usable_ports(*machine.port_range)
    comfortable = max(1, int(ports * PORT_SHARE))
    if IPv4Address(target.host).is_loopback:
        needed = ceil(load.connections / comfortable)
        if target.balanced_by_source:
            needed = max(needed, SOURCES_A_REPLICA * target.replicas)
        return source_addresses(min(needed, load.connections))
    if load.connections > ports:
        raise PlanError(
            "--connections",
            f"{load.connections} connections to {target.host}:{target.port} need as many source "
            f"ports, and one address has {ports} "
            f"({machine.port_range[0]}-{machine.port_range[1]})",
            "widen net.ipv4.ip_local_port_range (`stackctl host apply`), open fewer connections, "
            "or set `network: host`, where loopback has enough source addresses",
        )
    if load.connections > comfortable:
        warnings.append(
            f"{load.connections} connections are {load.connections / ports:.0%} of the source "
            f"ports to {target.host}: above {PORT_SHARE:.0%} connect() itself becomes slow"
        )
    if target.balanced_by_source and target.replicas > 1:
        warnings.append(
            f"all connections come from one address, and `balance: source` sends an address to "
            f"one of the {target.replicas} replicas only; `network: host` has more addresses"
        )
    return ()


def _open_seconds(load: Load) -> float:
    if load.burst:
        return load.timeout
    starting = load.connections / (load.rate or SLOWEST)
    return starting + load.timeout
