"""One case for each reader: the captured value, a change that makes it short, one that hides it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stackctl.engine.collector import parse_answer
from stackctl.limits import INFINITY, Value
from stackctl.observe.snapshot import Snapshot
from tests.unit.captured import TCP, UNIX

Change = Callable[[dict[str, Any]], object]
HAPROXY, FIRST = "haproxy", "telemt-1"
PORT = 19443
"""For clients, of the stacks that were captured."""


def snapshot_of(
    response: dict[str, Any], logs: Mapping[str, tuple[str, ...]] | None = None, not_asked: str = ""
) -> Snapshot:
    """An answer as JSON has it, as readers see it."""
    return Snapshot.of(parse_answer(json.dumps(response).encode()), logs, not_asked)


def put(*path: str | int) -> Callable[[object], Change]:
    """A change of the response: the value at `path` is replaced."""

    def to(value: object) -> Change:
        def change(response: dict[str, Any]) -> None:
            node: Any = response
            for step in path[:-1]:
                node = node[step]
            node[path[-1]] = value

        return change

    return to


def edit(old: str, new: str, *path: str | int) -> Change:
    """A change of the response: text at `path` edited; `old` must be there."""

    def change(response: dict[str, Any]) -> None:
        node: Any = response
        for step in path[:-1]:
            node = node[step]
        assert old in node[path[-1]]
        node[path[-1]] = node[path[-1]].replace(old, new)

    return change


def each(*changes: Change) -> Change:
    """Several changes."""
    return lambda response: [change(response) for change in changes]


def of_clients(change: Callable[[dict[str, Any]], object]) -> Change:
    """The same change of each of the collector's connections."""
    return lambda response: [change(client) for client in response["clients"]["value"]]


def slim(response: dict[str, Any], new: str) -> None:
    """The frontend's limit in `show stat`."""
    put_stat(response, ("clients", "FRONTEND"), "slim", new)


def put_stat(response: dict[str, Any], row: tuple[str, str], column: str, value: str) -> None:
    """One field of `show stat`."""
    stat = response["targets"][HAPROXY]["value"]["haproxy"]["stat"]
    lines = stat["value"].splitlines(keepends=True)
    at = lines[0].removeprefix("# ").split(",").index(column)
    (nth,) = [n for n, line in enumerate(lines) if line.startswith(",".join(row) + ",")]
    fields = lines[nth].split(",")
    fields[at] = value
    lines[nth] = ",".join(fields)
    stat["value"] = "".join(lines)


def of_handshakes(place: str, change: Callable[[dict[str, Any]], object]) -> Change:
    """The same change of each handshake made at a place."""
    return lambda response: [
        change(record)
        for record in response["handshakes"]["value"]["records"]
        if record["place"] == place
    ]


def cut(record: dict[str, Any]) -> None:
    """A handshake that was ended before its answer."""
    record["tried"]["steps"].pop()
    record["tried"]["ended"] = {"hop": "answer", "cause": "closed", "detail": "the peer closed it"}


def starter_nofile(soft: str, hard: str) -> Change:
    """Open files of the process that starts containers."""

    def change(response: dict[str, Any]) -> None:
        limits = response["host"]["value"]["engine"]["starter"]["limits"]
        row = f"{'Max open files':26}{soft:<21}{hard:<21}files"
        limits["value"], found = re.subn("Max open files .*files", row, limits["value"])
        assert found

    return change


def no_pids_limit(response: dict[str, Any]) -> None:
    """Nothing bounds how many processes and threads the engine's may have."""
    engine = response["host"]["value"]["engine"]
    for daemon in (engine["starter"], *engine["daemons"]):
        daemon["cgroup"]["limit"] = {"value": "max\n", "path": "/sys/fs/cgroup/pids.max"}
        daemon["cgroup"].pop("ancestors", None)


def one_queue(response: dict[str, Any]) -> None:
    """The card with the default route has one queue."""
    card = response["host"]["value"]["cards"]["value"][0]
    card["qdiscs"] = [{"kind": "pfifo_fast", "handle": 0, "parent": 0xFFFFFFFF}]


LOGIN = """\
* soft nofile 1048576
* hard nofile 1048576
root soft nofile 1048576
root hard nofile 1048576
"""
REFUSED = {"error": "EPERM: Operation not permitted"}


@dataclass(frozen=True)
class Case:
    """A reading: right, short, and impossible.

    Attributes:
        evidence: what its source has; of a pattern's form where figures differ with each capture.
        of: the case of tests/captured that is read.
        given: what is set before all else: of the machine nothing is known.
    """

    target: str
    key: str
    nth: int
    right: Value
    change: Change
    short: Value
    unreadable: Change
    evidence: str
    of: str = UNIX
    given: Change = lambda _response: None


CASES = [
    Case(
        FIRST, "net.core.somaxconn", 0, 65535,
        put("targets", FIRST, "value", "sysctls", "net.core.somaxconn", "value")("128\n"), 128,
        put("targets", FIRST, "value", "sysctls", "net.core.somaxconn")(REFUSED),
        "net.core.somaxconn = 65535",
    ),
    Case(
        "host", "fs.nr_open", 0, 1048576,
        put("host", "value", "sysctls", "fs.nr_open", "value")("1000\n"), 1000,
        lambda response: response["host"]["value"]["sysctls"].pop("fs.nr_open"),
        "fs.nr_open = 1048576",
        given=put("host", "value", "sysctls", "fs.nr_open", "value")("1048576\n"),
    ),
    Case(
        HAPROXY, "net.ipv4.tcp_fin_timeout", 1, 15,
        put("targets", HAPROXY, "value", "fresh", "linger2", "value")(60), 60,
        put("targets", HAPROXY, "value", "fresh", "linger2")(REFUSED),
        "linger2 15",
    ),
    Case(
        HAPROXY, "nofile", 0, (10000, 20000),
        edit("10000                20000", "1024                 20000",
             "targets", HAPROXY, "value", "process", "limits", "value"), (1024, 20000),
        put("targets", HAPROXY, "value", "process", "limits", "value")("Max cpu time\n"),
        "Max open files 10000 20000",
    ),
    Case(
        FIRST, "pids", 0, 4096,
        put("targets", FIRST, "value", "cgroup", "limit", "value")("max\n"), INFINITY,
        put("targets", FIRST, "value", "cgroup", "limit")(REFUSED),
        r"pids.max of telemt-1's cgroup: 4096 \(now",
    ),
    Case(
        HAPROXY, "haproxy.backlog", 0, 65535,
        lambda response: [
            row.update(backlog=128)
            for row in response["targets"][HAPROXY]["value"]["listeners"]["tcp"]
            if row["port"] == PORT
        ], 128,
        put("targets", HAPROXY, "value", "listeners", "errors")(["tcp AF_INET: EPERM"]),
        f"Send-Q 65535 on .*:{PORT}",
    ),
    Case(
        FIRST, "telemt.listen_backlog", 0, 65535,
        lambda response: [
            row.update(backlog=1024)
            for row in response["targets"][FIRST]["value"]["listeners"]["unix"]
        ], 1024,
        put("targets", FIRST, "value", "listeners", "unix")([]),
        "Send-Q 65535 on /run/telemt/telemt.sock",
    ),
    Case(
        "host", "engine.nofile", 0, 20000,
        starter_nofile("1024", "4096"), 4096,
        put("host", "value", "engine", "starter", "limits")(REFUSED),
        "of .*: Max open files hard 20000",
        given=starter_nofile("20000", "20000"),
    ),
    Case(
        "host", "engine.tasks", 0, INFINITY,
        put("host", "value", "engine", "daemons", 0, "cgroup", "limit", "value")("4915\n"), 4915,
        put("host", "value", "engine", "starter", "cgroup", "limit")(REFUSED),
        "pids.max of",
        given=no_pids_limit,
    ),
    Case(
        "host", "login.nofile", 0, (1048576, 1048576),
        edit("root soft nofile 1048576", "root soft nofile 1024",
             "host", "value", "login", 0, "value"),
        (1024, 1048576),
        put("host", "value", "login", 0)({**REFUSED, "path": "/etc/security/limits.d"}),
        "nofile 1048576 1048576 for \\* and root",
        given=put("host", "value", "login")([{"value": LOGIN, "path": "limits.conf"}]),
    ),
    Case(
        "host", "net.core.default_qdisc", 1, "pfifo_fast",
        put("host", "value", "cards", "value", 0, "qdiscs", 0, "kind")("fq"), "fq",
        put("host", "value", "cards", "value", 0, "default_route")(False),
        "root qdisc pfifo_fast",
        given=one_queue,
    ),
    Case(
        HAPROXY, "haproxy.maxconn", 0, 664,
        edit("\nMaxconn: 664", "\nMaxconn: 200",
             "targets", HAPROXY, "value", "haproxy", "info", "value"), 200,
        put("targets", HAPROXY, "value", "haproxy", "info")(REFUSED),
        "show info: Maxconn: 664",
    ),
    Case(
        HAPROXY, "haproxy.frontend_maxconn", 0, 600,
        lambda response: slim(response, "77"), 77,
        put("targets", HAPROXY, "value", "haproxy", "stat", "value")("Permission denied\n"),
        "clients/FRONTEND slim 600",
    ),
    Case(
        HAPROXY, "haproxy.bufsize", 1, 16384,
        edit("Pool buffer (16384", "Pool buffer (8192",
             "targets", HAPROXY, "value", "haproxy", "pools", "value"), 8192,
        put("targets", HAPROXY, "value", "haproxy", "pools", "value")("Dumping pools usage.\n"),
        r"buffer \(16384 bytes\)",
    ),
    Case(
        HAPROXY, "haproxy.timeout.client", 1, 3600,
        of_clients(lambda client: client["session"].update(
            value=client["session"]["value"].replace("ioto=1h", "ioto=50s"))), 50,
        put("clients", "value")([]),
        "scf ioto=1h",
    ),
    Case(
        HAPROXY, "haproxy.clitcpka_idle", 0, 120,
        of_clients(
            lambda c: c["client_socket"]["value"]["options"]["keepidle"].update(value=7200)
        ), 7200,
        of_clients(lambda c: c.update(client_socket={"error": "pidfd_getfd: EPERM"})),
        "live socket to its client: keepidle 120",
    ),
    Case(
        HAPROXY, "haproxy.timeout.connect", 0, 5,
        edit("timeout connect 5s", "timeout connect 50s",
             "targets", HAPROXY, "value", "config", "text", "value"), 50,
        lambda response: response["targets"][HAPROXY]["value"]["config"].update(
            mtime=response["targets"][HAPROXY]["value"]["process"]["started"] + 5
        ),
        "timeout connect 5s",
    ),
    Case(
        HAPROXY, "haproxy.link_ports", 0, 3,
        edit("rand(3)", "rand(2)", "targets", HAPROXY, "value", "config", "text", "value"), 2,
        edit("rand(3),", "rand(3),mod(2),", "targets", HAPROXY, "value", "config", "text", "value"),
        "clients are spread over 3 ports of each replica",
        of=TCP,
    ),
    Case(
        "telemt-2", "telemt.link_ports", 0, 3,
        lambda response: [
            row.update(owners=[])
            for row in response["targets"]["telemt-2"]["value"]["listeners"]["tcp"]
        ], 0,
        put("targets", "telemt-2", "value", "listeners", "errors")(["tcp AF_INET: EPERM"]),
        "telemt-2 listens on 3 of 0.0.0.0:9443-9445",
        of=TCP,
    ),
    Case(
        FIRST, "telemt.max_connections", 0, 694,
        edit("max_connections = 694", "max_connections = 10000",
             "targets", FIRST, "value", "config", "text", "value"), 10000,
        lambda response: response["targets"][FIRST]["value"]["config"].update(
            ctime=response["targets"][FIRST]["value"]["process"]["started"] + 5
        ),
        "server.max_connections = 694",
    ),
    Case(
        FIRST, "telemt.ready", 0, "ready",
        put("targets", FIRST, "value", "telemt", "ready", "value")(
            {"status": 503, "body": '{"data":{"ready":false,"reason":"admission_closed"}}'}
        ), "not-ready",
        put("targets", FIRST, "value", "telemt", "ready")({"error": "ETIMEDOUT: no answer"}),
        "/v1/health/ready: 200 ready",
    ),
    Case(
        "haproxy/telemt-2", "haproxy.proxy_protocol", 0, 1,
        # The replica's log names a port that the collector did not use.
        of_clients(lambda c: c.update(seen_as=c["seen_as"] + "9")), 0,
        put("clients")({"error": "ECONNREFUSED"}),
        "reached telemt-2 under its own address",
    ),
    Case(
        HAPROXY, "haproxy.client_address", 0, 1,
        put("clients", "value", 0, "seen_as")("172.18.0.1:52096"), 0,
        lambda response: response["clients"]["value"].pop(0),
        "reached telemt-. under its own address",
    ),
    Case(
        HAPROXY, "haproxy.handshake", 0, "answered",
        of_handshakes("published", cut), "haproxy",
        put("handshakes")({"error": "ModuleNotFoundError: No module named 'mtproto'"}),
        r"user1 secure through telemt-. \(connect .* ms, answer .* ms\); user1 tls",
    ),
    Case(
        "haproxy/telemt-2", "telemt.handshake", 0, "answered",
        of_handshakes("telemt-2", cut), "unknown",
        of_handshakes("telemt-2", lambda record: record.update(error="process 7 is gone")),
        r"user1 secure \(connect .* ms, proxy .* ms, answer .* ms\); user1 tls",
    ),
]  # fmt: skip
