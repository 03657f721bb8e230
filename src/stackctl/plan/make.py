"""Stack + limits table + host facts → Plan. All decisions are made here."""

from __future__ import annotations

from ipaddress import IPv4Network

from stackctl import __version__
from stackctl.errors import PlanError, StrictError
from stackctl.limits import INFINITY, TABLE, Value
from stackctl.limits.targets import HAPROXY
from stackctl.plan.address import (
    DATACENTRE_HOST,
    GATEWAY_HOST,
    HAPROXY_HOST,
    replicas_in,
    subnet_of,
)
from stackctl.plan.bounds import bounds, relay_buffer_bytes
from stackctl.plan.carry import granted_of, refuse_shortfall, shortfall
from stackctl.plan.links import check_links, link_ports, port_range
from stackctl.plan.model import Datacentre, Hardware, HostFacts, Plan, Requirement, Sources
from stackctl.plan.ports import SITE_PORT
from stackctl.plan.predict import predict
from stackctl.plan.require import Refusal, granted_descriptors, requirements, ulimit_of
from stackctl.plan.sizes import Sizes, size
from stackctl.plan.stalled import stalled
from stackctl.plan.warn import warnings
from stackctl.spec import Stack

OFFICIAL_TELEMT = "ghcr.io/telemt/telemt"


def make_plan(
    stack: Stack,
    facts: HostFacts | None = None,
    sources: Sources | None = None,
    *,
    starting: bool = True,
) -> Plan:
    """The plan of a stack.

    Args:
        stack: the validated file.
        facts: the host and engine, where known; without them nothing is fitted or refused.
        sources: which images run; without them `auto` means the official ones.
        starting: the plan is made to start the stack, so strict mode refuses what cannot be
            granted. For a running stack the plan still wants it, and verification shows it short.

    Raises:
        PlanError: the topology or the machine cannot carry what the file asks for.
        StrictError: strict mode, and the engine cannot grant a limit.
    """
    sources = sources or default_sources(stack)
    subnet = subnet_of(stack, facts)
    replicas = replicas_in(subnet, stack.replicas)
    _check_slots(stack)
    if starting:
        _check_overrides(stack, facts)
    sizes = sizes_of(stack, facts)
    check_links(stack, sizes)
    required, refused = requirements(stack, sizes, replicas, facts)
    if refused and stack.limits.mode == "strict":
        if starting:
            raise _refuse(refused)
        required, _ = requirements(stack, sizes, replicas, None)
    if starting:
        _check_descriptors(stack, sizes, required)
    ceilings = predict(granted_of(stack, sizes, required, facts))
    low = shortfall(stack, ceilings)
    if starting and stack.limits.mode == "strict":
        refuse_shortfall(stack, ceilings)
    return Plan(
        name=stack.name,
        mode=stack.limits.mode,
        network=stack.network,
        link=stack.link,
        balance=stack.balance,
        buffers=stack.buffers,
        connections=stack.connections,
        listen_host=stack.listen.host,
        listen_port=stack.listen.port,
        subnet=str(subnet),
        gateway=str(subnet[GATEWAY_HOST]),
        haproxy_address=str(subnet[HAPROXY_HOST]),
        replicas=replicas,
        sources=sources,
        haproxy_image=haproxy_image(stack, sources),
        telemt_image=telemt_image(stack, sources),
        domain=stack.telemt.domain,
        public_host=stack.telemt.public_host,
        public_port=stack.telemt.public_port,
        middle_proxy=stack.telemt.middle_proxy,
        modes=stack.telemt.modes,
        mask=_mask(stack, subnet),
        datacentre=_datacentre(stack, subnet),
        metrics=(stack.metrics.host, stack.metrics.port) if stack.metrics else None,
        bounds=bounds(stack),
        stalled=stalled(stack),
        relay_buffer_bytes=relay_buffer_bytes(stack, facts),
        sizes=sizes,
        requirements=required,
        warnings=warnings(stack, sizes, sources, facts, low),
        hardware=Hardware(**stack.host.model_dump()),
        ceilings=ceilings,
    )


def _datacentre(stack: Stack, subnet: IPv4Network) -> Datacentre | None:
    if stack.telemt.datacentre != "lab":
        return None
    return Datacentre(str(subnet[DATACENTRE_HOST]), lab_datacentre_image())


def _mask(stack: Stack, subnet: IPv4Network) -> tuple[str, int] | None:
    mask = stack.telemt.mask
    if mask.kind == "off":
        return None
    if mask.kind == "site":
        return mask.host, mask.port
    if stack.telemt.datacentre == "lab":
        return str(subnet[DATACENTRE_HOST]), SITE_PORT
    return stack.telemt.domain, 443


def default_sources(stack: Stack) -> Sources:
    """What `auto` means when no engine was asked: the official images."""
    return Sources(
        telemt="official" if stack.telemt.source == "auto" else stack.telemt.source,
        haproxy="official" if stack.haproxy.source == "auto" else stack.haproxy.source,
    )


def official_telemt(stack: Stack) -> str:
    """Telemt's own image, by tag, and by digest where stack.yaml gives one."""
    return _pinned(f"{OFFICIAL_TELEMT}:{stack.telemt.version}", stack.telemt.digest)


def official_haproxy(stack: Stack) -> str:
    """Docker's HAProxy image, by tag, and by digest where stack.yaml gives one."""
    return _pinned(f"haproxy:{stack.haproxy.version}", stack.haproxy.digest)


def _pinned(reference: str, digest: str) -> str:
    return f"{reference}@{digest}" if digest else reference


def telemt_image(stack: Stack, sources: Sources) -> str:
    """The image reference of the replicas."""
    if sources.telemt == "official":
        return sources.telemt_reference or official_telemt(stack)
    if sources.telemt == "binary":
        return f"stackctl/telemt:{stack.name}"
    return f"stackctl/telemt-lab:{__version__}"


def lab_datacentre_image() -> str:
    """The image reference of the lab's data centre."""
    return f"stackctl/lab-dc:{__version__}"


def haproxy_image(stack: Stack, sources: Sources) -> str:
    """The image reference of HAProxy."""
    if sources.haproxy == "official":
        return official_haproxy(stack)
    return f"stackctl/haproxy:{__version__}"


def _row_value(stack: Stack, key: str) -> Value:
    value = stack.limits.overrides.get(key, TABLE[key].wanted)
    if value is None:
        raise ValueError(f"row {key} has no value of its own")
    return value


def sizes_of(stack: Stack, facts: HostFacts | None) -> Sizes:
    """The stack's sizes, with the descriptors that this engine can grant where that is known."""
    nofile = _row_value(stack, "nofile")
    if not isinstance(nofile, tuple):
        raise TypeError("nofile is a pair")
    ceiling = facts.ceilings.get("nofile", INFINITY) if facts else INFINITY
    return size(
        connections=stack.connections,
        replicas=stack.replicas,
        threads=stack.threads,
        network=stack.network,
        link=stack.link,
        port_range=port_range(stack),
        nofile=min(nofile[0], ceiling),
        link_ports=link_ports(stack),
        splice=stack.splice,
    )


def _check_overrides(stack: Stack, facts: HostFacts | None) -> None:
    """A ulimit in stack.yaml above what the kernel can grant is a mistake in the file."""
    nr_open = facts.sysctls.get("fs.nr_open", "") if facts else ""
    if not nr_open.isdigit():
        return
    for key, value in stack.limits.overrides.items():
        is_nofile = ulimit_of(TABLE[key]) == "nofile"
        if is_nofile and isinstance(value, tuple) and max(value) > int(nr_open):
            raise PlanError(
                f"limits.{key}",
                f"{max(value)} is above this host's fs.nr_open {nr_open}",
                "run the host preparation first (`stackctl host apply`), or lower it",
            )


def _check_slots(stack: Stack) -> None:
    """Verification holds a connection through every replica, and one more from outside."""
    least = 2 * stack.replicas + 1
    if stack.connections < least:
        raise PlanError(
            "connections",
            f"{stack.connections} are too few for {stack.replicas} replicas to be verified",
            f"set at least {least}, or fewer `replicas`",
        )


def _check_descriptors(stack: Stack, sizes: Sizes, required: tuple[Requirement, ...]) -> None:
    for requirement in required:
        granted = granted_descriptors(requirement)
        haproxy = requirement.target == HAPROXY
        needed = sizes.haproxy_descriptors if haproxy else sizes.telemt_descriptors
        if granted is not None and granted < needed:
            raise PlanError(
                "connections",
                f"{stack.connections} connections need {needed} descriptors in "
                f"{requirement.target}, which can have "
                f"{granted}" + (f" ({requirement.fitted})" if requirement.fitted else ""),
                ("lower `connections`" if haproxy else "add `replicas`, lower `connections`")
                + " or raise nofile (`stackctl host apply` prepares a host for it)",
            )
    if sizes.server_maxconn * stack.replicas < stack.connections:
        raise PlanError(
            "replicas",
            f"{stack.replicas} replicas of up to {sizes.server_maxconn} connections each cannot "
            f"carry {stack.connections}",
            f"set `replicas: {-(-stack.connections // sizes.server_maxconn)}` or more, or raise "
            "nofile",
        )


def _refuse(refused: tuple[Refusal, ...]) -> StrictError:
    lines = [f"limits.{r.key}: {r.problem}" for r in refused]
    return StrictError(
        "strict mode: nothing was started\n  " + "\n  ".join(lines),
        "; ".join(dict.fromkeys(r.remedy for r in refused))
        + "; or `limits.mode: fit` (--fit) to run with lowered limits",
    )
