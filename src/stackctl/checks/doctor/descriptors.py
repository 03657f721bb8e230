"""Descriptors: what the stack's connections need against what host and engine can grant."""

from __future__ import annotations

from stackctl.checks.doctor.model import Evidence, Lines
from stackctl.checks.finding import Finding, Verdict
from stackctl.collector.answer import Unread
from stackctl.limits import TABLE
from stackctl.limits.rows import PREPARE_HOST
from stackctl.plan.sizes import ADMIN_RESERVE


def wanted_nofile(seen: Evidence) -> tuple[int, int]:
    """(soft, hard) nofile the stack asks for: chosen in stack.yaml, or the table's."""
    value = seen.stack.limits.overrides.get("nofile", TABLE["nofile"].wanted)
    if not isinstance(value, tuple):
        raise TypeError("nofile is a pair")
    return value[0], value[1]


def descriptors(seen: Evidence) -> Lines:
    """HAProxy's and the replicas' descriptors against what a container can be given."""
    soft, _ = wanted_nofile(seen)
    if seen.host is None:
        raise Unread(
            f"{seen.stack.connections:,} clients need {seen.sizes.haproxy_descriptors:,} "
            f"descriptors in haproxy and {seen.sizes.telemt_descriptors:,} in each replica; what "
            f"the engine can grant is not known: {seen.because}"
        )
    ceiling = seen.ceiling("nofile")
    grant = min(soft, ceiling)
    raise_it = PREPARE_HOST if ceiling <= soft else "raise nofile in the `limits` of stack.yaml"
    by = "this engine can grant" if ceiling <= soft else "stack.yaml gives it"
    sizes = seen.sizes
    need = sizes.haproxy_descriptors
    says = (
        f"{seen.stack.connections:,} clients need {need:,} descriptors in haproxy; {by} {grant:,}"
    )
    if grant < need:
        most = max(0, (grant - (need - 2 * sizes.global_maxconn)) // 2 - ADMIN_RESERVE)
        remedy = f"{raise_it}, or set `connections: {most}` or fewer"
        yield Finding("descriptors", Verdict.SHORT, says, remedy)
    else:
        yield Finding("descriptors", Verdict.OK, says)
    yield _replicas(seen, grant, by, raise_it)


def _replicas(seen: Evidence, grant: int, by: str, raise_it: str) -> Finding:
    sizes, stack = seen.sizes, seen.stack
    each = f"each of {stack.replicas} replicas" if stack.replicas > 1 else "the replica"
    says = (
        f"{each} needs {sizes.telemt_descriptors:,} descriptors for {sizes.server_maxconn:,} "
        f"connections; {by} {grant:,}"
    )
    carried = sizes.server_maxconn * stack.replicas
    if grant >= sizes.telemt_descriptors and carried >= stack.connections:
        return Finding("descriptors", Verdict.OK, says)
    least = -(-stack.connections // sizes.server_maxconn)
    more = f"set `replicas: {least}` or more, or " if least > stack.replicas else ""
    return Finding(
        "descriptors",
        Verdict.SHORT,
        f"{says}; together they carry {carried:,} of {stack.connections:,}",
        f"{more}{raise_it}",
    )


def nr_open(seen: Evidence) -> Lines:
    """The kernel's own limits: for one process, and for the machine."""
    most = seen.sysctl("fs.nr_open")[0]
    sizes = seen.sizes
    need = max(sizes.haproxy_descriptors, sizes.telemt_descriptors)
    _, hard = wanted_nofile(seen)
    says = f"fs.nr_open {most:,} is the most that any nofile can be; this stack needs {need:,}"
    if most < need:
        yield Finding("nr_open", Verdict.SHORT, says, PREPARE_HOST)
    elif most < hard:
        # Strict mode takes the wanted value or nothing.
        strict = seen.stack.limits.mode == "strict"
        verdict = Verdict.SHORT if strict else Verdict.ADVICE
        yield Finding("nr_open", verdict, f"{says} and asks for {hard:,}", PREPARE_HOST)
    else:
        yield Finding("nr_open", Verdict.OK, says)
    yield _machine(seen)


def _machine(seen: Evidence) -> Finding:
    most = seen.sysctl("fs.file-max")[0]
    sizes = seen.sizes
    need = sizes.haproxy_descriptors + seen.stack.replicas * sizes.telemt_descriptors
    says = f"fs.file-max {most:,} for the whole machine; this stack's processes need {need:,}"
    if most < need:
        return Finding("nr_open", Verdict.SHORT, says, PREPARE_HOST)
    return Finding("nr_open", Verdict.OK, says)


def limits(seen: Evidence) -> Lines:
    """What the engine cannot grant: refused in strict mode, lowered in fit."""
    yield from (Finding("limits", Verdict.SHORT, r.says, r.remedy) for r in seen.refusals)
    if seen.host is None or seen.plan is None:
        if not seen.refusals:
            seen.ceiling("nofile")  # raises Unread with the reason
        return
    lowered = {r.limit: r for r in seen.plan.requirements if r.fitted}
    for key, requirement in lowered.items():
        yield Finding(
            "limits",
            Verdict.ADVICE,
            f"{key} is lowered: {requirement.fitted}",
            requirement.way_out,
        )
    if not lowered and not seen.refusals:
        count = len({r.limit for r in seen.plan.requirements if r.written})
        says = f"the engine can grant every limit of every container; {count} limits are set"
        yield Finding("limits", Verdict.OK, says)
