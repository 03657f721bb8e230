"""Plan → compose.yaml."""

from __future__ import annotations

from collections.abc import Mapping

from stackctl import __version__
from stackctl.limits import Place
from stackctl.limits.targets import DATACENTRE
from stackctl.plan import Plan
from stackctl.plan.ports import (
    DATACENTRE_PORT,
    HAPROXY_GRACE_SECONDS,
    HEALTH_INTERVAL_SECONDS,
    HEALTH_INTERVAL_SECONDS_LARGE,
    HEALTH_PORT,
    HEALTH_TIMEOUT_SECONDS,
    LARGE,
    SCRAPE_PORT,
    SITE_PORT,
    STATE_PATH,
    STATUS_PORT,
    TELEMT_GRACE_SECONDS,
)
from stackctl.render.haproxy import API_MAP_FOLDER, needs_root_to_bind
from stackctl.render.text import environment, reason


def compose_yaml(plan: Plan, digests: Mapping[str, str]) -> str:
    """The text of compose.yaml; paths in it are relative to its own folder.

    Args:
        plan: the stack, decided.
        digests: a digest of each service's configuration. It is a label, so compose recreates a
            container whose mounted files have changed.
    """
    return (
        environment()
        .get_template("compose.yaml.j2")
        .render(
            plan=plan,
            version=__version__,
            published=_published(plan),
            metrics_published=_metrics_published(plan),
            low_port=needs_root_to_bind(plan),
            health_port=HEALTH_PORT,
            health_interval=_health_interval(plan),
            health_timeout=HEALTH_TIMEOUT_SECONDS,
            haproxy_grace=HAPROXY_GRACE_SECONDS,
            telemt_grace=TELEMT_GRACE_SECONDS,
            labels=lambda target: _labels(plan, target, digests[target]),
            limits=lambda target: _limits(plan, target),
            api_map_folder=API_MAP_FOLDER,
            state_path=STATE_PATH,
            datacentre_bind=_datacentre_bind(plan),
            datacentre_limits=_limits(plan, DATACENTRE),
            datacentre_port=DATACENTRE_PORT,
            site_port=SITE_PORT,
            status_port=STATUS_PORT,
        )
    )


def _datacentre_bind(plan: Plan) -> str:
    if plan.datacentre is None or plan.network == "bridge":
        return "0.0.0.0"  # noqa: S104
    return plan.datacentre.address


def _health_interval(plan: Plan) -> int:
    """Seconds between two health checks of a container."""
    large = plan.connections > LARGE
    return HEALTH_INTERVAL_SECONDS_LARGE if large else HEALTH_INTERVAL_SECONDS


def _published(plan: Plan) -> str:
    if not plan.listen_host:
        return str(plan.listen_port)
    host = f"[{plan.listen_host}]" if ":" in plan.listen_host else plan.listen_host
    return f"{host}:{plan.listen_port}"


def _metrics_published(plan: Plan) -> str:
    if plan.metrics is None:
        return ""
    host, port = plan.metrics
    return f"{f'[{host}]' if ':' in host else host}:{port}:{SCRAPE_PORT}"


def _labels(plan: Plan, target: str, digest: str) -> str:
    return "\n".join(
        (
            "    labels:",
            f'      io.stackctl.stack: "{plan.name}"',
            f"      io.stackctl.target: {target}",
            f'      io.stackctl.version: "{__version__}"',
            f"      io.stackctl.telemt: {plan.sources.telemt}",
            f"      io.stackctl.haproxy: {plan.sources.haproxy}",
            f'      io.stackctl.config: "{digest}"',
        )
    )


def _limits(plan: Plan, target: str) -> str:
    """ulimits, pids_limit and sysctls of one service, each with its reason."""
    lines: list[str] = []
    ulimits = plan.written(target, Place.COMPOSE_ULIMIT)
    if ulimits:
        lines.append("    ulimits:")
    for requirement, written in ulimits:
        if not isinstance(written.value, tuple):
            raise TypeError(f"{requirement.limit}: a ulimit is a pair, soft and hard")
        soft, hard = written.value
        lines.append(reason(requirement, " " * 6))
        # Always soft and hard: engines have read a single number in different ways.
        lines.append(f"      {written.where}: {{soft: {soft}, hard: {hard}}}")
    for requirement, written in plan.written(target, Place.COMPOSE_PIDS):
        lines.append(reason(requirement, " " * 4))
        lines.append(f"    {written.where}: {written.text}")
    sysctls = plan.written(target, Place.COMPOSE_SYSCTL)
    if sysctls:
        lines.append("    sysctls:")
    for requirement, written in sysctls:
        lines.append(reason(requirement, " " * 6))
        lines.append(f'      {written.where}: "{written.text}"')
    return "\n".join(lines)
