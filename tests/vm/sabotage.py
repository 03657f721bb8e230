"""Sabotages of host limits: the command that breaks each, the finding that follows, the repair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .deployment import Deployment

OVERRIDE = "/etc/sysctl.d/99-zzz-admin.conf"
DROP_IN = "/etc/systemd/system/docker.service.d/zzz-nofile.conf"
TASKS_DROP_IN = "/etc/systemd/system/docker.service.d/zzz-tasks.conf"


@dataclass(frozen=True, slots=True)
class Sabotage:
    """One limit of the host, broken and repaired.

    Attributes:
        limit: the one that is then found short, and no other.
        breaks: a command line.
        word: a part of the evidence.
        mends: a command line.
    """

    limit: str
    breaks: str
    word: str
    mends: str


LOWER = {
    "net.core.default_qdisc": "pfifo_fast",
    "net.ipv4.tcp_congestion_control": "reno",
    "net.ipv4.ip_local_port_range": "32768 60999",
    "net.ipv4.tcp_rmem": "4096 65536 6291456",
    "net.ipv4.tcp_wmem": "4096 16384 4194304",
    "net.ipv4.tcp_syncookies": "0",
    "net.ipv4.tcp_tw_reuse": "0",
    "net.ipv4.tcp_keepalive_probes": "9",
    "net.ipv4.tcp_keepalive_intvl": "75",
    "net.ipv4.tcp_fin_timeout": "60",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait": "120",
    "fs.file-max": "2000000",
    "fs.nr_open": "1048576",
}
"""Values that are short. Every other key gets half of its running value."""


def live(deployment: Deployment) -> list[Sabotage]:
    """Every sysctl of the stack's own table, set too low in the running kernel."""
    table = (deployment.stack_file.parent / "production/host/limits.tsv").read_text()
    keys = [line.split("\t")[1] for line in table.splitlines() if line.startswith("sysctl\t")]
    assert len(keys) > 20
    return [
        Sabotage(
            limit=key,
            breaks=f"sysctl -n {key} >/root/{key}; sysctl -qw {key}='{LOWER[key]}'"
            if key in LOWER
            else f"sysctl -n {key} >/root/{key}; sysctl -qw {key}=$(($(cat /root/{key}) / 2))",
            word="running",
            mends=f'sysctl -qw {key}="$(cat /root/{key})"; rm /root/{key}',
        )
        for key in keys
    ]


FILES = [
    Sabotage(
        "net.core.somaxconn",
        f"echo 'net/core/somaxconn = 128' >{OVERRIDE}",
        f"at boot 128 from {OVERRIDE}",
        f"rm {OVERRIDE}",
    ),
    Sabotage(
        "login.nofile",
        "echo '* hard nofile 4096' >/etc/security/limits.d/zz-admin.conf",
        "decided by /etc/security/limits.d/zz-admin.conf",
        "rm /etc/security/limits.d/zz-admin.conf",
    ),
    Sabotage(
        "engine.nofile",
        f"printf '[Service]\\nLimitNOFILE=2048\\n' >{DROP_IN}; systemctl daemon-reload",
        "docker.service gets 2048 at its next start",
        f"rm {DROP_IN}; systemctl daemon-reload",
    ),
    Sabotage(
        "engine.tasks",
        f"printf '[Service]\\nTasksMax=512\\n' >{TASKS_DROP_IN}; systemctl daemon-reload",
        "docker.service",
        f"rm {TASKS_DROP_IN}; systemctl daemon-reload",
    ),
    Sabotage(
        "net.ipv4.tcp_congestion_control",
        "sed -i /tcp_bbr/d /etc/modules-load.d/stackctl-production.conf",
        "its module tcp_bbr is not loaded at boot",
        "echo tcp_bbr >>/etc/modules-load.d/stackctl-production.conf",
    ),
]
"""These leave the running values alone: the next boot would lose them."""

LIVE = [
    Sabotage(
        "engine.nofile",
        "awk '/^Max open files/ { print $4 \":\" $5 }' /proc/$(pidof -s dockerd)/limits "
        ">/root/was; prlimit --pid $(pidof -s dockerd) --nofile=4096:4096",
        "docker.service runs with 4096",
        "prlimit --pid $(pidof -s dockerd) --nofile=$(cat /root/was)",
    ),
    Sabotage(
        "net.core.default_qdisc",
        "tc qdisc replace dev $(ip -o route show default | awk '{print $5}') root pfifo_fast",
        "has hand:pfifo_fast",
        "tc qdisc replace dev $(ip -o route show default | awk '{print $5}') root fq",
    ),
]
"""These leave the files alone: a live process or network card has another value."""

ROUNDS: dict[str, Callable[[Deployment], list[Sabotage]]] = {
    "in the running kernel": live,
    "at the next boot": lambda _: FILES,
    "on a live process and card": lambda _: LIVE,
}
"""Sets in which no two sabotages break the same limit."""
