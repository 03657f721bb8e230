"""For every requirement of a running lab, how to break exactly that one, and how to repair it.

A sabotage is a context: on entry the limit is broken on the live stack, on exit it is repaired. It
is found by (limit, role): the same knob on HAProxy and on a replica is broken on each.

Breaking a limit takes milliseconds, or one reload for any number of lines in haproxy.cfg; `verify`
takes seconds. So what can be broken beside others is broken in rounds, and `verify` runs once in
each round (`rounds`).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import combinations
from math import comb
from pathlib import Path

from .lab import Lab, until

Break = Callable[[Lab, str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Line:
    """Another line in haproxy.cfg.

    Attributes:
        pattern: matches one place of the file.
        replacement: what stands there instead.
    """

    pattern: str
    replacement: str

    @contextmanager
    def __call__(self, lab: Lab, _target: str) -> Iterator[None]:
        """The live worker runs with this line alone changed."""
        before = (lab.rendered / "haproxy/haproxy.cfg").read_text()
        _run_with(lab, [self], before)
        try:
            yield
        finally:
            _run_with(lab, [], before)

    def edit(self, text: str) -> str:
        """The file with this line changed."""
        changed, count = re.subn(self.pattern, self.replacement, text, flags=re.MULTILINE)
        assert count == 1, f"{self.pattern!r} stands {count} times in haproxy.cfg"
        return changed


@dataclass(frozen=True)
class Sabotage:
    """How to break one limit.

    Attributes:
        limit: the limit.
        target: on what; also where the finding must stand.
        broken: breaks it for as long as the context lasts.
        verdict: what verification must call it.
        link: the kind of lab it needs.
        alone: nothing else can be broken at the same time.
        by_chance: limits that verification may call wrong, too, where the collector's client
            happens to meet what is broken.
    """

    limit: str
    target: str
    broken: Break
    verdict: str = "short"
    link: str = "unix"
    alone: bool = False
    by_chance: tuple[str, ...] = ()


def rounds(sabotages: Sequence[Sabotage]) -> tuple[tuple[Sabotage, ...], ...]:
    """What is broken in each round, so that every finding has one sabotage that explains it.

    Each sabotage is broken in half of the rounds. No two are broken in the same ones, and no
    one's rounds contain another's, so a finding that stands in exactly its own rounds is of this
    sabotage, and of no other that was broken beside it.
    """
    count = next(n for n in range(1, 20) if comb(n, n // 2) >= len(sabotages))
    chosen = [set(numbers) for numbers in combinations(range(count), count // 2)]
    places = list(zip(sabotages, chosen, strict=False))
    return tuple(
        tuple(sabotage for sabotage, numbers in places if number in numbers)
        for number in range(count)
    )


def in_rounds(lab: Lab, sabotages: Sequence[Sabotage]) -> Iterator[tuple[Sabotage, ...]]:
    """Break what belongs to each round, yield it, and mend it; all is mended at the end."""
    path = lab.rendered / "haproxy/haproxy.cfg"
    before = path.read_text()
    try:
        for broken in rounds(sabotages):
            _run_with(lab, [s.broken for s in broken if isinstance(s.broken, Line)], before)
            with ExitStack() as until_mended:
                for sabotage in broken:
                    if not isinstance(sabotage.broken, Line):
                        until_mended.enter_context(sabotage.broken(lab, sabotage.target))
                yield broken
    finally:
        _run_with(lab, [], before)


def _run_with(lab: Lab, lines: Sequence[Line], text: str) -> None:
    """Have HAProxy run this configuration with some lines changed, by one reload."""
    for line in lines:
        text = line.edit(text)
    if text != (lab.rendered / "haproxy/haproxy.cfg").read_text():
        lab.reload(lambda _text: text)


def sysctl(key: str, value: str) -> Break:
    """Another value in the target's own network namespace."""

    @contextmanager
    def broken(lab: Lab, target: str) -> Iterator[None]:
        before = lab.in_netns(target, "sysctl", "-n", key).replace("\t", " ")
        lab.in_netns(target, "sysctl", "-q", "-w", f"{key}={value}")
        try:
            yield
        finally:
            lab.in_netns(target, "sysctl", "-q", "-w", f"{key}={before}")

    return broken


def soft_limit(resource: str, value: int, *, of_worker: bool) -> Break:
    """A lower soft limit on the live process; the hard one stays, so that it can be mended."""

    @contextmanager
    def broken(lab: Lab, target: str) -> Iterator[None]:
        worker = of_worker and target == "haproxy"
        pid = str(lab.worker() if worker else lab.pid(target))
        row = {"nofile": "Max open files", "nproc": "Max processes"}[resource]
        limits = Path(f"/proc/{pid}/limits").read_text()
        before = next(x for x in limits.splitlines() if x.startswith(row))[len(row) :].split()[0]
        lab.as_target(target, "prlimit", "--pid", pid, f"--{resource}={value}:")
        try:
            yield
        finally:
            lab.as_target(target, "prlimit", "--pid", pid, f"--{resource}={before}:")

    return broken


@contextmanager
def fewer_pids(lab: Lab, target: str) -> Iterator[None]:
    """Another pids.max in the live cgroup."""
    container = lab.container(target)
    subprocess.run(["docker", "update", "--pids-limit", "100", container.id], check=True,
                   capture_output=True)  # fmt: skip
    try:
        yield
    finally:
        subprocess.run(["docker", "update", "--pids-limit", "4096", container.id], check=True,
                       capture_output=True)  # fmt: skip


def admin(command: str, wanted: Callable[[Lab], int], value: int) -> Break:
    """Another number through HAProxy's admin socket."""

    @contextmanager
    def broken(lab: Lab, _target: str) -> Iterator[None]:
        assert lab.admin(f"{command} {value}").strip() == ""
        try:
            yield
        finally:
            assert lab.admin(f"{command} {wanted(lab)}").strip() == ""

    return broken


@contextmanager
def other_congestion(lab: Lab, target: str) -> Iterator[None]:
    """Another congestion control than the plan's reno, whichever this host lets containers use."""
    key = "net.ipv4.tcp_congestion_control"
    words = lab.in_netns("haproxy", "sysctl", "-n", "net.ipv4.tcp_available_congestion_control")
    allowed = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text().split()
    other = next(word for word in words.split() if word != "reno" and word in allowed)
    with sysctl(key, other)(lab, target):
        yield


@contextmanager
def small_client_backlog(lab: Lab, target: str) -> Iterator[None]:
    """A client listener made with a small backlog: a reload would inherit the old one."""
    path = lab.rendered / "haproxy/haproxy.cfg"
    before = path.read_text()
    path.write_text(re.sub(r"^    backlog \d+", "    backlog 128", before, flags=re.MULTILINE))
    _restart(lab, target)
    try:
        yield
    finally:
        path.write_text(before)
        _restart(lab, target)


@contextmanager
def failing_check(lab: Lab, target: str) -> Iterator[None]:
    """Failing health checks of a server that stays in use, so that its link can be looked at."""
    replica = target.rpartition("/")[2]
    server = f"telemt/{replica}"
    patient = Line(rf"^(    server {replica} .*)$", r"\1 fall 1000")
    with patient(lab, target):
        # A server that has not passed a check yet would go down with the first that fails.
        until(lambda: ",UP," in _row(lab, server), 60, "a server that is fully up")
        lab.admin(f"set server {server} check-port 1")
        until(lambda: "L4CON" in _row(lab, server), 60, "a failed check")
        yield


def _row(lab: Lab, server: str) -> str:
    prefix = server.replace("/", ",") + ","
    return next(x for x in lab.admin("show stat").splitlines() if x.startswith(prefix))


@contextmanager
def no_proxy_header(lab: Lab, target: str) -> Iterator[None]:
    """One server line without the PROXY header its replica waits for."""
    replica = target.rpartition("/")[2]
    change = Line(rf"^(    server {replica} .*)$", r"\1 no-send-proxy-v2")
    with change(lab, target):
        yield


@contextmanager
def rewritten_source(lab: Lab, _target: str) -> Iterator[None]:
    """The client's address replaced on the way to HAProxy, as a masquerading host would."""
    address = _address(lab)
    rule = ["POSTROUTING", "-d", address, "-p", "tcp", "--dport", str(lab.port),
            "-j", "MASQUERADE", "--to-ports", "61000-61999"]  # fmt: skip
    subprocess.run(["iptables", "-w", "-t", "nat", "-I", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "-w", "-t", "nat", "-D", *rule], check=True)


def _address(lab: Lab) -> str:
    networks = lab.container("haproxy").attrs["NetworkSettings"]["Networks"]
    return str(next(iter(networks.values()))["IPAddress"])


@contextmanager
def other_max_connections(lab: Lab, target: str) -> Iterator[None]:
    """Another max_connections in the file, and the replica restarted with it."""
    path = lab.rendered / f"telemt/{target}/telemt.toml"
    before = path.read_text()
    path.write_text(re.sub(r"max_connections = \d+", "max_connections = 77", before))
    _restart(lab, target)
    try:
        yield
    finally:
        path.write_text(before)
        _restart(lab, target)


def telemt_toml(pattern: str, replacement: str) -> Break:
    """Another line in one replica's telemt.toml, and the replica restarted with it."""

    @contextmanager
    def broken(lab: Lab, target: str) -> Iterator[None]:
        replica = target.rpartition("/")[2]
        path = lab.rendered / f"telemt/{replica}/telemt.toml"
        before = path.read_text()
        changed, count = re.subn(pattern, replacement, before, flags=re.MULTILINE)
        assert count == 1, f"{pattern!r} stands {count} times in telemt.toml"
        path.write_text(changed)
        try:
            _restart(lab, replica)
            yield
        finally:
            path.write_text(before)
            _restart(lab, replica)

    return broken


other_domain = telemt_toml(r"^tls_domain = .*$", 'tls_domain = "www.example.org"')
"""One replica that pretends to be another site than the links say."""


@contextmanager
def other_users(lab: Lab, target: str) -> Iterator[None]:
    """One replica with another secret for every user; what it shows to its API stays."""
    replica = target.rpartition("/")[2]
    text = (lab.rendered / "secrets/telemt/users.toml").read_text()
    other = lab.rendered / f"telemt/{replica}/users.toml"
    other.write_text(re.sub(r'= "[0-9a-f]{32}"$', f'= "{"5a" * 16}"', text, flags=re.MULTILINE))
    other.chmod(0o644)
    change = telemt_toml(r"^include = .*$", 'include = "/etc/telemt/users.toml"')
    try:
        with change(lab, target):
            yield
    finally:
        other.unlink()


def _restart(lab: Lab, target: str) -> None:
    lab.container(target).restart()
    lab.wait_healthy(target)
    lab.wait_l7ok()


@contextmanager
def small_backlog(lab: Lab, target: str) -> Iterator[None]:
    """A listener made while somaxconn was small: an altered compose file, mended too late.

    somaxconn is put right afterwards, so only the live listener still shows it.
    """
    path = lab.rendered / "compose.yaml"
    before = path.read_text()
    head, found, tail = before.partition(f"\n  {target}:\n")
    assert found
    path.write_text(head + found + tail.replace('somaxconn: "65535"', 'somaxconn: "128"', 1))
    _compose(lab)
    lab.wait_l7ok()
    lab.in_netns(target, "sysctl", "-q", "-w", "net.core.somaxconn=65535")
    try:
        yield
    finally:
        path.write_text(before)
        _compose(lab)
        lab.wait_l7ok()


def _compose(lab: Lab) -> None:
    subprocess.run(
        ["docker", "compose", "up", "-d", "--wait"],
        cwd=lab.rendered, check=True, capture_output=True,
    )  # fmt: skip


@contextmanager
def api_refused(lab: Lab, target: str) -> Iterator[None]:
    """The replica's API refuses on loopback, while HAProxy still reaches it."""
    rule = ["INPUT", "-i", "lo", "-p", "tcp", "--dport", "9091",
            "-j", "REJECT", "--reject-with", "tcp-reset"]  # fmt: skip
    lab.in_netns(target, "iptables", "-w", "-I", *rule)
    try:
        yield
    finally:
        lab.in_netns(target, "iptables", "-w", "-D", *rule)


SYSCTLS = {
    "net.core.somaxconn": "4096",
    "net.ipv4.tcp_max_syn_backlog": "512",
    "net.ipv4.tcp_syncookies": "0",
    "net.ipv4.ip_local_port_range": "32768 60999",
    "net.ipv4.tcp_fin_timeout": "60",
    "net.ipv4.tcp_tw_reuse": "0",
    "net.ipv4.tcp_max_tw_buckets": "5000",
    "net.ipv4.tcp_keepalive_time": "7200",
    "net.ipv4.tcp_keepalive_intvl": "75",
    "net.ipv4.tcp_keepalive_probes": "9",
    "net.ipv4.tcp_rmem": "4096 65536 16777216",
    "net.ipv4.tcp_wmem": "4096 65536 4194304",
    "net.netfilter.nf_conntrack_tcp_timeout_established": "432000",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait": "120",
}

HAPROXY_LINES = {
    # A pipe is two descriptors: Maxsock grows and nothing else does.
    "haproxy.maxsock": (r"^    maxconn 2064$", "    maxconn 2064\n    maxpipes 200"),
    "haproxy.nbthread": (r"nbthread \d+", "nbthread 1"),
    "haproxy.bufsize": (r"tune\.bufsize \d+", "tune.bufsize 8192"),
    "haproxy.maxaccept": (r"tune\.maxaccept \d+", "tune.maxaccept 8"),
    "haproxy.timeout.connect": (r"timeout connect \d+s", "timeout connect 60s"),
    "haproxy.timeout.client": (r"timeout client 3600s", "timeout client 1800s"),
    "haproxy.timeout.server": (r"timeout server \d+s", "timeout server 1800s"),
    "haproxy.timeout.client-fin": (r"timeout client-fin \d+s", "timeout client-fin 60s"),
    "haproxy.timeout.server-fin": (r"timeout server-fin \d+s", "timeout server-fin 60s"),
    "haproxy.clitcpka_idle": (r"clitcpka-idle \d+s", "clitcpka-idle 300s"),
    "haproxy.clitcpka_intvl": (r"clitcpka-intvl \d+s", "clitcpka-intvl 75s"),
    "haproxy.clitcpka_cnt": (r"clitcpka-cnt \d+", "clitcpka-cnt 9"),
    "haproxy.check_inter": (r"inter 1s", "inter 2s"),
}

TCP_LINES = {
    "haproxy.maxpipes": (r"maxpipes 516$", "maxpipes 100"),
    "haproxy.srvtcpka_idle": (r"srvtcpka-idle \d+s", "srvtcpka-idle 300s"),
    "haproxy.srvtcpka_intvl": (r"srvtcpka-intvl \d+s", "srvtcpka-intvl 75s"),
    "haproxy.srvtcpka_cnt": (r"srvtcpka-cnt \d+", "srvtcpka-cnt 9"),
}

DENSITY_LINES = {
    f"haproxy.{buffer}_{side}": (rf"tune\.{buffer}\.{side} 65536", f"tune.{buffer}.{side} {other}")
    for buffer, side, other in (
        ("sndbuf", "client", 262144),
        ("rcvbuf", "client", 131072),
        ("sndbuf", "server", 16384),
    )
}
# The line gone: the socket autotunes, and its size on its own would look as if it had been asked.
DENSITY_LINES["haproxy.rcvbuf_server"] = (r"^    tune\.rcvbuf\.server 32768\n", "")

SABOTAGES: tuple[Sabotage, ...] = (
    *(
        Sabotage(key, target, sysctl(key, value))
        for key, value in SYSCTLS.items()
        for target in ("haproxy", "telemt-1")
    ),
    Sabotage(
        "net.ipv4.tcp_congestion_control", "haproxy",
        sysctl("net.ipv4.tcp_congestion_control", "reno"),
    ),
    *(
        Sabotage("nofile", target, soft_limit("nofile", 9000, of_worker=True))
        for target in ("haproxy", "telemt-1")
    ),
    *(
        # HAProxy's worker forbids itself to fork; what was granted is its master's.
        Sabotage("nproc", target, soft_limit("nproc", 500, of_worker=False))
        for target in ("haproxy", "telemt-1")
    ),
    *(Sabotage("pids", target, fewer_pids) for target in ("haproxy", "telemt-1")),
    Sabotage("haproxy.maxconn", "haproxy", admin("set maxconn global", lambda _: 2064, 100)),
    Sabotage(
        "haproxy.frontend_maxconn", "haproxy",
        admin("set maxconn frontend clients", lambda _: 2000, 50),
    ),
    Sabotage(
        "haproxy.server_maxconn", "haproxy/telemt-1",
        admin("set maxconn server telemt/telemt-1", lambda _: 2000, 50),
    ),
    *(
        Sabotage(key, "haproxy", Line(*change))
        for key, change in HAPROXY_LINES.items()
    ),
    *(
        Sabotage(key, "haproxy", Line(*change), link="tcp")
        for key, change in TCP_LINES.items()
    ),
    *(
        Sabotage(key, "haproxy", Line(*change), link="tcp")
        for key, change in DENSITY_LINES.items()
    ),
    Sabotage("telemt.congestion_control", "telemt-1", other_congestion, link="tcp"),
    Sabotage(
        "haproxy.link_ports", "haproxy",
        Line(r"set-dst-port rand\(2\)", "set-dst-port rand(1)"), link="tcp",
    ),
    Sabotage(
        "telemt.link_ports", "telemt-1",
        telemt_toml(r"^    \{ ip = .*, port = 9444 \},\n", ""), link="tcp", alone=True,
        # HAProxy draws a port for each client; who draws the closed one is served by the other
        # replica, and not by the one it was seen to be given to.
        by_chance=("haproxy.proxy_protocol", "haproxy.client_address"),
    ),
    Sabotage(
        "net.ipv4.tcp_notsent_lowat", "telemt-1",
        sysctl("net.ipv4.tcp_notsent_lowat", "4294967295"), link="tcp",
    ),
    Sabotage("haproxy.backlog", "haproxy", small_client_backlog, alone=True),
    Sabotage("haproxy.check", "haproxy/telemt-1", failing_check, alone=True),
    Sabotage("haproxy.proxy_protocol", "haproxy/other", no_proxy_header, alone=True),
    Sabotage("haproxy.client_address", "haproxy", rewritten_source, alone=True),
    # The collector's own connections send fewer bytes than any client's first message: they pass,
    # and a real client gets no answer.
    Sabotage(
        "haproxy.handshake", "haproxy",
        Line(r"accept if \{ req\.len gt 0 \}", "accept if { req.len 1:63 }"), alone=True,
    ),
    Sabotage("telemt.handshake", "haproxy/other", other_users, alone=True),
    Sabotage("telemt.handshake", "haproxy/other", other_domain, link="tcp", alone=True),
    Sabotage("telemt.max_connections", "telemt-1", other_max_connections, alone=True),
    Sabotage("telemt.listen_backlog", "telemt-1", small_backlog, alone=True),
    Sabotage("telemt.ready", "telemt-1", api_refused, verdict="error", alone=True),
)  # fmt: skip
