"""Plan → one telemt.toml for each replica; the users stand in a file of their own."""

from __future__ import annotations

from typing import Any

import tomli_w

from stackctl import __version__
from stackctl.limits import TABLE, Kind, Place
from stackctl.plan import HAPROXY, Plan, Replica
from stackctl.plan.ports import API_PORT, METRICS_PORT, SOCKET_PATH, TELEMT_PORT
from stackctl.spec import Secrets

USERS_PATH = "/run/telemt-users/users.toml"


def telemt_toml(plan: Plan, replica: Replica) -> str:
    """The text of telemt/<replica>/telemt.toml; holds no secret."""
    server: dict[str, Any] = {
        # Telemt's defaults, said: a changed default must not change the stack.
        "accept_permit_timeout_ms": 250,
        # A burst makes HAProxy's header wait; Telemt's 500 ms drops clients then.
        "proxy_protocol_header_timeout_ms": 1000,
        "proxy_protocol_trusted_cidrs": [_haproxy_source(plan)],
        "metrics_listen": f"{_inside(plan, replica)}:{METRICS_PORT}",
        "metrics_whitelist": _readers(plan),
        **_listener(plan, replica),
        **_limits(plan, replica),
        "api": {
            "enabled": True,
            "listen": f"{_inside(plan, replica)}:{API_PORT}",
            "whitelist": _readers(plan),
            # A replica that rewrites its own file would no longer be what was planned.
            "read_only": True,
        },
        # Needs NET_ADMIN and nft, which a distroless container has not.
        "conntrack_control": {"inline_conntrack_control": False},
    }
    document: dict[str, Any] = {
        "general": {
            "config_strict": True,
            "use_middle_proxy": plan.middle_proxy,
            "data_path": "/var/lib/telemt",
            "quota_state_path": "/var/lib/telemt/quota.json",
            "proxy_secret_path": "/var/lib/telemt/proxy-secret",
            "rst_on_close": "errors",
            # Failed handshakes by address: where verification sees its own connections arrive.
            "beobachten": True,
            "beobachten_minutes": 10,
            "modes": {"classic": False, "secure": True, "tls": True},
            "links": {
                "show": [],
                "public_host": plan.public_host,
                "public_port": plan.public_port,
            },
        },
        "server": server,
        "censorship": {"tls_domain": plan.domain},
    }
    if not plan.middle_proxy:
        document["general"]["middle_proxy_nat_probe"] = False
        document["network"] = {"stun_use": False}
    if not plan.masking:
        document["censorship"] |= {"tls_emulation": False, "mask": False}
    return (
        f"# {plan.project} {replica.name}. Rendered by stackctl {__version__}.\n"
        + tomli_w.dumps(document)
        + f'\n# The users and their secrets; this file must come last.\ninclude = "{USERS_PATH}"\n'
    )


def users_toml(secrets: Secrets) -> str:
    """The text of secrets/telemt/users.toml: the one file with secrets in it."""
    return tomli_w.dumps({"access": {"users": dict(secrets.users)}})


def _listener(plan: Plan, replica: Replica) -> dict[str, Any]:
    if plan.link == "unix":
        # 0660 in a directory of group 99: HAProxy connects, nobody else.
        return {
            "listen_unix_sock": SOCKET_PATH,
            "listen_unix_sock_perm": "0660",
            "listen_tcp": False,
        }
    return {
        "port": TELEMT_PORT,
        "listeners": [{"ip": _inside(plan, replica), "port": TELEMT_PORT}],
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
    """Where HAProxy's PROXY headers come from; peers on a unix socket count as 127.0.0.1."""
    if plan.link == "unix":
        return "127.0.0.1/32"
    return "127.0.0.0/8" if plan.network == "host" else f"{plan.haproxy_address}/32"


def _readers(plan: Plan) -> list[str]:
    own = ["127.0.0.0/8"]
    return own if plan.network == "host" else [*own, f"{plan.haproxy_address}/32"]
