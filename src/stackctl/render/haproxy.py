"""Plan → haproxy.cfg. Every line that carries a limit comes from the limits table."""

from __future__ import annotations

from stackctl import __version__
from stackctl.limits import Place
from stackctl.limits.targets import HAPROXY
from stackctl.plan import Plan, Requirement, Written
from stackctl.plan.ports import (
    API_PORT,
    HARD_STOP_SECONDS,
    HEALTH_PORT,
    METRICS_PORT,
    SCRAPE_PORT,
    TELEMT_PORT,
)
from stackctl.plan.sizes import HAPROXY_FORMER_WORKERS
from stackctl.render.telemt import authorization
from stackctl.render.text import environment, reason
from stackctl.spec import Secrets

API_MAP_FOLDER = "/run/haproxy-secrets"
"""Where HAProxy's container sees secrets/haproxy."""

API_MAP = "api.map"


def api_map(secrets: Secrets) -> str:
    """The text of secrets/haproxy/api.map: what the health check sends to Telemt's API."""
    return f"authorization {authorization(secrets)}\n"


def needs_root_to_bind(plan: Plan) -> bool:
    """Whether HAProxy must start as root: a low port in the host's own namespace."""
    return plan.network == "host" and plan.listen_port < 1024


def limit_lines(plan: Plan) -> tuple[tuple[Requirement, Written], ...]:
    """Every directive of the limits table, once; links share one default-server."""
    first_link = f"{HAPROXY}/{plan.replicas[0].name}"
    return plan.written(HAPROXY, Place.HAPROXY_CFG) + plan.written(first_link, Place.HAPROXY_CFG)


def haproxy_cfg(plan: Plan) -> str:
    """The text of haproxy/haproxy.cfg."""

    def lines(section: str, keyword: str = "") -> str:
        return "\n".join(
            f"{reason(requirement, '    ')}\n    {keyword}{written.text}"
            for requirement, written in limit_lines(plan)
            if written.where == section
        )

    return (
        environment()
        .get_template("haproxy.cfg.j2")
        .render(
            plan=plan,
            version=__version__,
            lines=lines,
            bind=bind_address(plan),
            low_port=needs_root_to_bind(plan),
            hard_stop=HARD_STOP_SECONDS,
            former_workers=HAPROXY_FORMER_WORKERS,
            api_port=API_PORT,
            telemt_port=TELEMT_PORT,
            health_port=HEALTH_PORT,
            metrics_bind=_metrics_bind(plan),
            metrics_port=METRICS_PORT,
            api_map=f"{API_MAP_FOLDER}/{API_MAP}",
        )
    )


def _metrics_bind(plan: Plan) -> str:
    if plan.metrics is None or plan.network == "bridge":
        return f":{SCRAPE_PORT}"
    host, port = plan.metrics
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind_address(plan: Plan) -> str:
    """The client listener. In bridge mode the engine publishes the address."""
    if plan.network == "bridge" or not plan.listen_host:
        return f":{plan.listen_port}" if plan.network == "bridge" else f"*:{plan.listen_port}"
    host = f"[{plan.listen_host}]" if ":" in plan.listen_host else plan.listen_host
    return f"{host}:{plan.listen_port}"
