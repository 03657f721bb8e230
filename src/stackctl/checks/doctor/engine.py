"""The engine and compose: which they are, and what they do to limits."""

from __future__ import annotations

from stackctl.checks.doctor.descriptors import wanted_nofile
from stackctl.checks.doctor.model import Evidence, Lines
from stackctl.checks.finding import Finding, Verdict
from stackctl.collector.answer import Unread
from stackctl.limits import INFINITY
from stackctl.limits.rows import PREPARE_HOST
from stackctl.limits.targets import HAPROXY
from stackctl.observe.host import INITIAL_USER_NAMESPACE, may_raise
from stackctl.observe.process import parse_limits
from stackctl.plan.require import granted_descriptors

UNLIMITED = 1 << 28
"""Above this a limit counts as none: engines that pass "infinity" on grant 2^30 descriptors."""

USUAL = {
    (1024, 524288): " (systemd's own, as Docker 29 with containerd 2 passes it on)",
    (1048576, 1048576): " (as Docker up to 20.10 sets it)",
}
"""Which engine sets such a default."""


def engine(seen: Evidence) -> Lines:
    """Which engine it is, and whether it is on this machine."""
    if seen.engine:
        here = "; the lines below are read on this machine" if seen.facts else ""
        yield Finding("engine", Verdict.SHORT, f"{seen.engine.says}{here}", seen.engine.remedy)
        return
    parts = [
        f"{component['Name']} {component['Version']}"
        for component in seen.about.get("Components") or ()
        if component.get("Name") in {"containerd", "runc"}
    ]
    known = ", ".join([f"API {seen.about.get('ApiVersion', '?')}", *parts])
    system = seen.info.get("OperatingSystem", "?")
    says = f"Docker {seen.about.get('Version', '?')} ({known}) on {system}"
    if system == "Docker Desktop":
        yield Finding(
            "engine",
            Verdict.ADVICE,
            f"{says}: its host is a virtual machine, out of reach of sysctl.d and systemd here",
            "use it for a lab; for production run an engine on the server itself",
        )
    elif seen.same_machine is False:
        yield Finding(
            "engine",
            Verdict.ADVICE,
            f"{says}: another machine; the lines below are about that machine",
            "`up` needs the rendered files there: `stackctl render -o DIR` and copy DIR",
        )
    else:
        yield Finding("engine", Verdict.OK, says)


def restart(seen: Evidence) -> Lines:
    """Whether the stack outlives a restart of the engine."""
    if "LiveRestoreEnabled" not in seen.info:
        because = seen.because if seen.engine else "the engine does not say"
        raise Unread(f"whether live-restore is on: not known: {because}")
    if seen.info["LiveRestoreEnabled"]:
        says = "live-restore is on: containers keep running while the engine restarts"
        yield Finding("restart", Verdict.OK, says)
    else:
        yield Finding(
            "restart",
            Verdict.ADVICE,
            f"live-restore is off: a restart or update of the engine ends all "
            f"{seen.stack.connections:,} connections",
            'set "live-restore": true in daemon.json and reload the engine',
        )


def compose(seen: Evidence) -> Lines:
    """Whether compose can start a stack with its limits and wait for it."""
    if seen.no_compose:
        yield Finding("compose", Verdict.SHORT, seen.no_compose.says, seen.no_compose.remedy)
    elif seen.compose_lacks:
        yield Finding(
            "compose",
            Verdict.SHORT,
            f"compose {seen.compose} has no {', '.join(seen.compose_lacks)}: `up` cannot start "
            "the stack with it",
            "update the compose plugin to 2.26 or newer",
        )
    else:
        yield Finding(
            "compose",
            Verdict.OK,
            f"compose {seen.compose}: has every option that `up` uses; it sets no limit of its own",
        )


def capability(seen: Evidence) -> Lines:
    """Whether the process that starts containers may raise a hard limit."""
    starter = seen.machine("the process that starts containers").engine.starter
    starter.status.get(f"/proc/{starter.pid}/status")
    namespace = starter.user_namespace.get("the user namespace of the engine")
    who = f"{starter.comm}, which starts containers,"
    if not namespace:
        raise Unread("the user namespace of the engine: the link is empty")
    if may_raise(starter):
        says = f"{who} holds CAP_SYS_RESOURCE: it can raise hard limits up to fs.nr_open"
        yield Finding("capability", Verdict.OK, says)
        return
    ceiling = seen.ceiling("nofile")
    need = max(seen.sizes.haproxy_descriptors, seen.sizes.telemt_descriptors)
    lacks = (
        "has no CAP_SYS_RESOURCE"
        if namespace == INITIAL_USER_NAMESPACE
        else "is in a user namespace of its own, where CAP_SYS_RESOURCE raises no hard limit"
    )
    _, wanted = wanted_nofile(seen)
    says = (
        f"{who} {lacks}: no container gets a hard nofile above its own {ceiling:,}; this stack "
        f"needs {need:,} and asks for {wanted:,}"
    )
    if ceiling >= wanted:
        yield Finding("capability", Verdict.OK, says)
        return
    # Strict mode takes the wanted value or nothing.
    bad = ceiling < need or seen.stack.limits.mode == "strict"
    yield Finding(
        "capability",
        Verdict.SHORT if bad else Verdict.ADVICE,
        says,
        f"run the engine as a root service with LimitNOFILE=1048576 or more ({PREPARE_HOST})",
    )


def ulimits(seen: Evidence) -> Lines:
    """The limits of a container that sets none, and the limits that this stack's containers set."""
    where = "a container that sets no ulimits"
    rows = parse_limits(seen.read(lambda host: host.unsaid, where))
    if "Max open files" not in rows:
        raise Unread("the collector's own limits have no row for open files")
    soft, hard = rows["Max open files"]
    if hard >= UNLIMITED:
        default = (
            f"{where} gets infinity ({'unlimited' if hard == INFINITY else f'{hard:,}'}, as Docker "
            "23 and 24 pass it on), and HAProxy would size its tables for that"
        )
    else:
        default = f"{where} gets nofile {soft:,} soft, {hard:,} hard{USUAL.get((soft, hard), '')}"
    told = {
        requirement.target: granted_descriptors(requirement)
        for requirement in (seen.plan.requirements if seen.plan else ())
        if requirement.limit == "nofile"
    }
    if not told:
        raise Unread(f"{default}; there is no plan of this stack's own limits")
    silent = [target for target, given in told.items() if given is None]
    if silent:
        yield Finding(
            "ulimits",
            Verdict.SHORT,
            f"{default}; the plan sets no nofile for {', '.join(silent)}",
            "report this: the plan has to set nofile for every container",
        )
        return
    yield Finding(
        "ulimits",
        Verdict.OK,
        f"{default}; the plan sets nofile for each of this stack's {len(told)}, HAProxy "
        f"{told.get(HAPROXY, 0):,}",
    )
