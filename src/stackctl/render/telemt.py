"""Plan → one telemt.toml for each replica; the users have a file of their own."""

from __future__ import annotations

from typing import Any

import tomli_w

from stackctl import __version__
from stackctl.limits import TABLE, Kind, Place
from stackctl.limits.targets import HAPROXY
from stackctl.plan import Plan, Replica
from stackctl.plan.ports import (
    API_PORT,
    DATACENTRE_PORT,
    METRICS_PORT,
    SOCKET_PATH,
    STATE_PATH,
    TELEMT_PORT,
    USERS_PATH,
)
from stackctl.spec import Secrets

DATACENTRES = ("1", "2", "3", "4", "5", "203")
"""Telegram's data centre numbers. A client asks for one, with a minus for its media side."""


def telemt_toml(plan: Plan, replica: Replica) -> str:
    """The text of telemt/<replica>/telemt.toml; holds no secret."""
    server: dict[str, Any] = {
        # Telemt's own default, written out: if the default changes, the stack must not.
        "accept_permit_timeout_ms": 250,
        # In a burst HAProxy's header is late, and with Telemt's 500 ms clients are dropped.
        "proxy_protocol_header_timeout_ms": 1000,
        "proxy_protocol_trusted_cidrs": [_haproxy_source(plan)],
        "metrics_listen": f"{_inside(plan, replica)}:{METRICS_PORT}",
        "metrics_whitelist": _readers(plan),
        **_listener(plan, replica),
        **_limits(plan, replica),
        # Needs NET_ADMIN and nft, which a distroless container lacks.
        "conntrack_control": {"inline_conntrack_control": False},
    }
    document: dict[str, Any] = {
        "general": {
            "config_strict": True,
            "use_middle_proxy": plan.middle_proxy,
            # Each replica has a volume of its own: two replicas that shared a quota file would lose
            # data.
            "data_path": STATE_PATH,
            "quota_state_path": f"{STATE_PATH}/quota.json",
            "proxy_secret_path": f"{STATE_PATH}/proxy-secret",
            "rst_on_close": "errors",
            # Failed handshakes by address. Verification sees there which address its connections
            # had.
            "beobachten": True,
            "beobachten_minutes": 10,
            "modes": {mode: mode in plan.modes for mode in ("classic", "secure", "tls")},
            "links": {
                "show": [],
                "public_host": plan.public_host,
                "public_port": plan.public_port,
            },
        },
        "server": server,
        "censorship": _censorship(plan),
    }
    if plan.relay_buffer_bytes:
        document["general"]["direct_relay_buffer_budget_max_bytes"] = plan.relay_buffer_bytes
    if access := _access(plan):
        document["access"] = access
    if plan.datacentre:
        to = f"{plan.datacentre.address}:{DATACENTRE_PORT}"
        document["dc_overrides"] = {
            sign + number: to for number in DATACENTRES for sign in ("", "-")
        }
    if not plan.middle_proxy:
        document["general"]["middle_proxy_nat_probe"] = False
        document["network"] = {"stun_use": False}
    api = {
        "enabled": True,
        "listen": f"{_inside(plan, replica)}:{API_PORT}",
        "whitelist": _readers(plan),
        # A replica that rewrote its own file would differ from the plan.
        "read_only": True,
    }
    return (
        f"# {plan.project} {replica.name}. Rendered by stackctl {__version__}.\n"
        + tomli_w.dumps(document)
        + "\n"
        + tomli_w.dumps({"server": {"api": api}})
        + "# This line must be last: the file begins with [server.api]'s auth_header, then users.\n"
        + f'include = "{USERS_PATH}"\n'
    )


def authorization(secrets: Secrets) -> str:
    """The Authorization header that each replica's API asks for."""
    return f"Bearer {secrets.api}"


def users_toml(plan: Plan, secrets: Secrets) -> str:
    """The text of secrets/telemt/users.toml: the API's secret, then the users'.

    Telemt puts an included file in the place of its `include` line, so the first key here belongs
    to the section of that line.
    """
    header = tomli_w.dumps({"auth_header": authorization(secrets)})
    access: dict[str, Any] = {"users": dict(secrets.users)}
    if plan.bounds.user_quota_bytes:
        # Telemt has no quota for all users: each user has a line.
        access["user_data_quota"] = dict.fromkeys(secrets.users, plan.bounds.user_quota_bytes)
    return header + "\n" + tomli_w.dumps({"access": access})


def _censorship(plan: Plan) -> dict[str, Any]:
    values: dict[str, Any] = {
        "tls_domain": plan.domain,
        "mask": plan.mask is not None,
        # The lab's site has no certificate worth imitating.
        "tls_emulation": plan.mask is not None and plan.datacentre is None,
        "tls_front_dir": f"{STATE_PATH}/tlsfront",
    }
    if plan.mask:
        values["mask_host"], values["mask_port"] = plan.mask
    return values


def _access(plan: Plan) -> dict[str, Any]:
    bounds = plan.bounds
    values = {
        "user_max_tcp_conns_global_each": bounds.user_connections,
        "user_max_unique_ips_global_each": bounds.user_addresses,
    }
    return {key: value for key, value in values.items() if value}


def _listener(plan: Plan, replica: Replica) -> dict[str, Any]:
    if plan.link == "unix":
        # 0660 in a directory of group 99: only HAProxy can connect.
        return {
            "listen_unix_sock": SOCKET_PATH,
            "listen_unix_sock_perm": "0660",
            "listen_tcp": False,
        }
    return {
        "port": TELEMT_PORT,
        "listeners": [
            {"ip": _inside(plan, replica), "port": TELEMT_PORT + nth}
            for nth in range(plan.sizes.link_ports)
        ],
    }


def _limits(plan: Plan, replica: Replica) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for target in (replica.name, f"{HAPROXY}/{replica.name}"):
        for requirement, written in plan.written(target, Place.TELEMT_TOML):
            flag = TABLE[requirement.limit].kind is Kind.FLAG
            values[written.text] = bool(written.value) if flag else written.value
    return values


def _inside(plan: Plan, replica: Replica) -> str:
    return replica.address if plan.network == "host" else "0.0.0.0"  # noqa: S104


def _haproxy_source(plan: Plan) -> str:
    """Where PROXY headers are trusted from: HAProxy. Peers on a unix socket count as 127.0.0.1."""
    if plan.link == "unix":
        return "127.0.0.1/32"
    return "127.0.0.0/8" if plan.network == "host" else f"{plan.haproxy_address}/32"


def _readers(plan: Plan) -> list[str]:
    own = ["127.0.0.0/8"]
    return own if plan.network == "host" else [*own, f"{plan.haproxy_address}/32"]
