"""Stacks with one narrow place each: how it is made, what is granted then, and how full it gets."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from pyroute2.conntrack import Conntrack
from pyroute2.netlink.exceptions import NetlinkError

from benchmarks.lab import Lab, signals_ignored
from stackctl.engine import Container
from stackctl.observe.haproxy import servers
from stackctl.observe.look import facts_of, look
from stackctl.observe.snapshot import Snapshot
from stackctl.observe.telemt import READY, answers, parse_ready
from stackctl.operate.sources import running
from stackctl.plan import HostFacts, Plan, make_plan
from stackctl.plan.carry import granted_of
from stackctl.plan.predict import Granted
from stackctl.spec import Stack
from stackctl.spec.load import load

TABLE_SIZE = Path("/proc/sys/net/netfilter/nf_conntrack_max")
TABLE_FILL = Path("/proc/sys/net/netfilter/nf_conntrack_count")

FLUSH = "from pyroute2.conntrack import Conntrack; Conntrack().flush()"

MAX_CONNECTIONS = 250
"""Of each replica, in the case of Telemt's cap."""

PORTS = (20_000, 20_299)
"""Of each namespace, in the case of the port range."""

DESCRIPTORS = 500
"""Of each replica, in the case of descriptors: two a client."""

ENTRIES = 3000
"""Room in the host's conntrack table, in the case of the table: two a client."""

HAPROXY_MEMORY = 56 << 20
"""Bytes of HAProxy's container, in the case of memory: some 5,000 clients. In 24 MiB the break
moved by 3 to 9 % with what else was in there at that moment."""

CHARGED_SECONDS = 6.0
"""So long what is charged is looked at: a health check, every 2 s, is a shell in that container."""

QUIET_SECONDS = 4.0
"""So long what is used of a place has to have stopped falling before its room is measured."""

_STACK = """\
name: {{name}}
connections: 6000
replicas: {{replicas}}
listen: {{port}}
balance: leastconn
limits: {{{{mode: fit{limits}}}}}
haproxy: {{{{source: build}}}}
telemt: {{{{source: double, datacentre: lab}}}}
"""


@dataclass(frozen=True, slots=True)
class Fill:
    """How full the narrow place is: in the fullest of its places."""

    used: int
    size: int


@dataclass(frozen=True, slots=True)
class Narrow:
    """A stack that one thing limits.

    Attributes:
        name: of the case.
        limit: key of the limits table, or "memory", that the model must name.
        where: the place it must name.
        template: of the stack file.
        made: makes the place narrow while its context lasts; gives what is granted then.
        fill: read with all held; None where nothing is left to read.
        rate: new clients a second; 0: as one is in, another comes. Few: one under way has buffers
            that an idle one has not, and a queue would be a cause of its own.
    """

    name: str
    limit: str
    where: str
    template: str
    made: Callable[[Lab], AbstractContextManager[Granted]]
    fill: Callable[[Lab], Fill] | None
    rate: int = 0


def granted(lab: Lab) -> Granted:
    """What the running stack is granted by its plan, against this host as it is now."""
    stack, facts, plan = _planned(lab)
    return granted_of(stack, plan.sizes, plan.requirements, facts)


def _planned(lab: Lab) -> tuple[Stack, HostFacts, Plan]:
    stack = load(lab.file, for_use=True)
    facts = facts_of(look(lab.engine, stack, clients=False), lab.engine, stack.name)
    return stack, facts, make_plan(stack, facts, running(stack, lab.engine), starting=False)


def replicas(lab: Lab) -> list[Container]:
    """The running replicas."""
    return [c for c in lab.engine.containers(lab.name) if c.is_replica]


def haproxy(lab: Lab) -> Container:
    """The stack's HAProxy."""
    return next(c for c in lab.engine.containers(lab.name) if c.target == "haproxy")


@contextmanager
def _as_planned(lab: Lab) -> Iterator[Granted]:
    yield granted(lab)


def descriptors(pid: int) -> int:
    """Open descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@contextmanager
def _few_descriptors(lab: Lab) -> Iterator[Granted]:
    """The plan would not give a replica fewer than it needs: taken from the live process."""
    pids = [c.pid for c in replicas(lab)]
    given = granted(lab)
    try:
        for pid in pids:
            _soft_limit(pid, DESCRIPTORS)
        own = max(descriptors(pid) for pid in pids)
        yield replace(given, telemt_nofile=DESCRIPTORS, telemt_own=own)
    finally:
        with signals_ignored():
            for pid in pids:
                _soft_limit(pid, given.telemt_nofile or DESCRIPTORS)


def _soft_limit(pid: int, number: int) -> None:
    # As the process's own user: without CAP_SYS_RESOURCE root may not, either.
    user = Path(f"/proc/{pid}").stat()
    who = [f"--reuid={user.st_uid}", f"--regid={user.st_gid}", "--clear-groups"]
    argv = ["setpriv", *who, "prlimit", "--pid", str(pid), f"--nofile={number}:"]
    subprocess.run(argv, check=True, capture_output=True)


def _descriptors_used(lab: Lab) -> Fill:
    return Fill(max(descriptors(c.pid) for c in replicas(lab)), DESCRIPTORS)


@contextmanager
def _small_table(lab: Lab) -> Iterator[Granted]:
    """The host's table is lowered for everybody on the machine, for as short as can be."""
    given = granted(lab)
    _forget(lab)
    _wait_until_least(lambda: int(TABLE_FILL.read_text()))
    before = TABLE_SIZE.read_text()
    try:
        used = int(TABLE_FILL.read_text())
        size = used + ENTRIES
        TABLE_SIZE.write_text(f"{size}\n")
        yield replace(given, conntrack_max=size, conntrack_used=used)
    finally:
        with signals_ignored():
            TABLE_SIZE.write_text(before)


def _forget(lab: Lab) -> None:
    """Delete the stack's entries: those of an earlier round's clients stay for two minutes.

    None of its clients is there; what the stack itself has open makes its entries anew. The one
    size is for each namespace by itself, and a container's has entries, too: with those left alone
    the third round let in 190 and 331 of 1,500.
    """
    for container in lab.engine.containers(lab.name):
        flush(container.pid)
    _, _, plan = _planned(lab)
    subnet = IPv4Network(plan.subnet)
    with Conntrack() as table:
        for entry in list(table.dump_entries()):
            way = entry.tuple_orig
            ours = any(IPv4Address(end) in subnet for end in (way.saddr, way.daddr))
            if ours or way.dport == plan.listen_port:
                # One that has timed out meanwhile is as good as deleted.
                with suppress(NetlinkError):
                    table.delete(entry)


def flush(namespace: int) -> None:
    """Delete every entry of the namespace that a process stands in."""
    argv = ["nsenter", "-t", str(namespace), "-n", sys.executable, "-c", FLUSH]
    subprocess.run(argv, check=True)


def _wait_until_least(number: Callable[[], int]) -> None:
    """Until it has not come below its least for some seconds; for half a minute at most.

    What goes after the room has been measured would make more room.
    """
    least, since = number(), time.monotonic()
    end = since + 30
    while time.monotonic() < min(end, since + QUIET_SECONDS):
        time.sleep(0.5)
        now = number()
        if now < least:
            least, since = now, time.monotonic()


def _table_used(_: Lab) -> Fill:
    return Fill(int(TABLE_FILL.read_text()), int(TABLE_SIZE.read_text()))


@contextmanager
def _little_memory(lab: Lab) -> Iterator[Granted]:
    """A plan sets no limit on memory: it is given to the live container, which keeps it."""
    given = granted(lab)
    container = haproxy(lab)
    _update_memory(container, HAPROXY_MEMORY)
    _wait_until_least(lambda: charged(container))
    yield replace(given, haproxy_memory=HAPROXY_MEMORY - _usually_charged(container))


def _usually_charged(container: Container) -> int:
    """The median of what is charged to it for good within some seconds.

    Not the most, which a health check makes: 5 to 8 % more clients got in than that let one expect.
    """
    seen, end = [], time.monotonic() + CHARGED_SECONDS
    while time.monotonic() < end:
        seen.append(charged(container))
        time.sleep(0.005)
    return int(statistics.median(seen))


def _update_memory(container: Container, size: int) -> None:
    argv = ["docker", "update", f"--memory={size}", f"--memory-swap={size}", container.id]
    subprocess.run(argv, check=True, capture_output=True)


def charged(container: Container) -> int:
    """Bytes charged to a container's memory cgroup, v1 or v2, without the page cache.

    Pages of files are charged to who read them first, and the kernel takes them back before it ends
    a process: 9.6 of 21.5 MB in a HAProxy that had just started, and after it was ended for memory
    some other number in each round.
    """
    folder, name = _memory_cgroup(container)
    text = (folder / "memory.stat").read_text()
    kept = dict(line.split() for line in text.splitlines())
    cache = int(kept["active_file"]) + int(kept["inactive_file"])
    return int((folder / name).read_text()) - cache


def _memory_cgroup(container: Container) -> tuple[Path, str]:
    """Its folder, and the file that says how much is charged."""
    for line in Path(f"/proc/{container.pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return Path(f"/sys/fs/cgroup/memory{path}"), "memory.usage_in_bytes"
    return Path(f"/sys/fs/cgroup{path}"), "memory.current"


def _ports_used(lab: Lab) -> Fill:
    """Source ports of a replica's namespace towards the lab's data centre, of its range."""
    most = 0
    for container in replicas(lab):
        rows = Path(f"/proc/{container.pid}/net/tcp").read_text().splitlines()[1:]
        # Remote port 8888 is the data centre's; state 01 is established.
        found = [row.split() for row in rows]
        used = sum(words[2].endswith(":22B8") and words[3] == "01" for words in found)
        most = max(most, used)
    return Fill(most, PORTS[1] - PORTS[0] + 1)


def _permits_used(lab: Lab) -> Fill:
    """Connected sockets of both replicas' unix links, which are in HAProxy's namespace."""
    rows = Path(f"/proc/{haproxy(lab).pid}/net/unix").read_text().splitlines()[1:]
    used = sum(row.endswith("/telemt.sock") and row.split()[5] == "03" for row in rows)
    return Fill(used, MAX_CONNECTIONS * len(replicas(lab)))


def restarts(lab: Lab) -> int:
    """How often the engine has started HAProxy's container anew."""
    argv = ["docker", "inspect", "--format", "{{.RestartCount}}", haproxy(lab).id]
    return int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def ended_for_memory(lab: Lab) -> bool:
    """Whether the kernel ended a process of HAProxy's container for memory when it last ended."""
    argv = ["docker", "inspect", "--format", "{{.State.OOMKilled}}", haproxy(lab).id]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip() == "true"


def all_up(lab: Lab) -> bool:
    """Whether every replica calls itself ready, and HAProxy's checks know no better.

    One that did not reach the data centre calls itself unready, and HAProxy notices later.
    """
    snapshot = look(lab.engine, load(lab.file, for_use=True), clients=False)
    rows = servers(snapshot)
    return bool(rows) and all(
        row.get("status") == "UP" and _ready(snapshot, name) for name, row in rows.items()
    )


def _ready(snapshot: Snapshot, name: str) -> bool:
    answer = answers(snapshot, name).ready.value
    return answer is not None and parse_ready(answer.status, answer.body)[0] == READY


CASES = (
    Narrow(
        "max_connections",
        "telemt.max_connections",
        "telemt",
        _STACK.format(limits=f", telemt.max_connections: {MAX_CONNECTIONS}"),
        _as_planned,
        _permits_used,
    ),
    Narrow(
        "port range",
        "net.ipv4.ip_local_port_range",
        "telemt/datacentre",
        _STACK.format(limits=f", net.ipv4.ip_local_port_range: {list(PORTS)}"),
        _as_planned,
        _ports_used,
    ),
    Narrow(
        "nofile",
        "nofile",
        "telemt",
        _STACK.format(limits=""),
        _few_descriptors,
        _descriptors_used,
    ),
    Narrow(
        "conntrack table",
        "net.netfilter.nf_conntrack_max",
        "host",
        _STACK.format(limits=""),
        _small_table,
        _table_used,
    ),
    Narrow(
        "memory limit",
        "memory",
        "haproxy",
        _STACK.format(limits=""),
        _little_memory,
        None,
        rate=100,
    ),
)
