"""The machine itself: kernel, control groups, memory, clock."""

from __future__ import annotations

import re
from collections.abc import Callable

from stackctl.checks.doctor.model import Evidence, Lines
from stackctl.checks.finding import Finding, Verdict
from stackctl.collector.answer import Host, Reading, Unread
from stackctl.handshake.cause import SKEW_SECONDS

OLDEST_FOR_PROOF = (5, 6)
"""The first kernel with pidfd_getfd: `verify` looks at HAProxy's live sockets with it."""

UNSYNCHRONISED = 0x40
"""STA_UNSYNC of adjtimex(2)."""

TIME_ERROR = 5
"""TIME_ERROR of adjtimex(2): the state of a clock that is not synchronised."""

TIGHT = 0.8
"""Share of the memory: above it Telemt's own memory and the page cache have no room."""


def kernel(seen: Evidence) -> Lines:
    """The release, and what it offers to a container's network namespace."""
    release = seen.facts.kernel if seen.facts else ""
    match = re.match(r"(\d+)\.(\d+)", release)
    if not match:
        raise Unread("the kernel's release could not be read")
    version = (int(match[1]), int(match[2]))
    allowed = text_or(seen, lambda host: host.allowed)
    somaxconn = 4096 if version >= (5, 4) else 128
    says = (
        f"Linux {release}: a new namespace starts with somaxconn {somaxconn}, which the stack "
        "raises; "
        + (f"containers may use {', '.join(allowed.split())}" if allowed else "its congestion "
           "controls are not known here")
    )  # fmt: skip
    if version < OLDEST_FOR_PROOF:
        yield Finding(
            "kernel",
            Verdict.ADVICE,
            f"{says}; it has no pidfd_getfd, so `verify` cannot look at live connections",
            "run a kernel of 5.6 or newer (Debian 12 has 6.1)",
        )
    else:
        yield Finding("kernel", Verdict.OK, says)


def text_or(seen: Evidence, take: Callable[[Host], Reading[str]]) -> str:
    """A reading's text, "" where there is none: for details that a sentence can do without."""
    return (take(seen.facts).value or "") if seen.facts else ""


def cgroup(seen: Evidence) -> Lines:
    """The version of control groups, and whether the engine can limit processes with it."""
    lines = seen.read(lambda host: host.cgroups, "control groups").splitlines()
    old = sum(" - cgroup " in line for line in lines)
    new = sum(" - cgroup2 " in line for line in lines)
    if not old and not new:
        raise Unread("no control group hierarchy is mounted where the engine runs")
    kind = "hybrid (v1, and v2 beside it)" if old and new else "v1" if old else "v2"
    driver = seen.info.get("CgroupDriver")
    says = f"control groups {kind}" + (f", driver {driver}" if driver else "")
    if seen.info.get("PidsLimit") is False:
        yield Finding(
            "cgroup",
            Verdict.SHORT,
            f"{says}: this engine cannot limit processes, so pids_limit is not in force",
            "mount the pids controller, or boot with systemd.unified_cgroup_hierarchy=1",
        )
    elif old:
        yield Finding(
            "cgroup",
            Verdict.ADVICE,
            f"{says}: pids_limit is in force, but systemd and the engine are dropping v1",
            "boot with systemd.unified_cgroup_hierarchy=1 (the default since Debian 11)",
        )
    else:
        yield Finding("cgroup", Verdict.OK, f"{says}: pids_limit is in force")


def memory(seen: Evidence) -> Lines:
    """How much memory the connections take, without Telemt's own."""
    total = seen.read(lambda host: host.memory, "MemTotal")
    free = seen.read(lambda host: host.memory_available, "MemAvailable")
    sizes = seen.sizes
    need = sizes.haproxy_bytes + sizes.kernel_bytes
    says = (
        f"{seen.stack.connections:,} idle clients take {need >> 20:,} MiB (HAProxy "
        f"{sizes.haproxy_bytes >> 20:,}, kernel {sizes.kernel_bytes >> 20:,}) plus Telemt's own; "
        f"this machine has {total >> 20:,} MiB, {free >> 20:,} of it available"
    )
    fits = int(total * TIGHT) * seen.stack.connections // need
    remedy = f"add memory, or set `connections: {fits}` or fewer"
    if need > total:
        yield Finding("memory", Verdict.SHORT, says, remedy)
    elif need > total * TIGHT:
        yield Finding("memory", Verdict.ADVICE, says, remedy)
    elif need > free:
        yield Finding(
            "memory",
            Verdict.ADVICE,
            says,
            "see which programs use the memory (`ps aux --sort -rss`)",
        )
    else:
        yield Finding("memory", Verdict.OK, says)


def clock(seen: Evidence) -> Lines:
    """Whether a time daemon keeps the clock right."""
    rule = f"fake TLS refuses clients whose clock is more than {SKEW_SECONDS:.0f} s off"
    if seen.ahead is not None and abs(seen.ahead) > SKEW_SECONDS:
        side = "ahead of" if seen.ahead > 0 else "behind"
        yield Finding(
            "clock",
            Verdict.SHORT,
            f"the engine's clock is {abs(seen.ahead):,.0f} s {side} this machine's; one is wrong, "
            f"and {rule}",
            "correct the wrong clock by NTP (chrony, or `timedatectl set-ntp true`)",
        )
        return
    state = seen.read(lambda host: host.clock, "whether the clock is right")
    keepers = seen.read(lambda host: host.keepers, "time daemons")
    who = f"{', '.join(keepers)} runs" if keepers else "no time daemon runs"
    if state.status & UNSYNCHRONISED or state.state == TIME_ERROR:
        yield Finding(
            "clock",
            Verdict.ADVICE,
            f"the kernel's clock is not synchronised, and {who}; {rule}",
            f"see whether {keepers[0]} reaches its servers"
            if keepers
            else "install chrony, or `timedatectl set-ntp true`",
        )
    else:
        off = state.maxerror / 1e6
        says = f"synchronised, at most {off:.3f} s off ({who}); {rule}"
        yield Finding("clock", Verdict.OK, says)
