"""Plan → every file of a deployment, as text with its mode."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from stackctl.limits.targets import DATACENTRE
from stackctl.plan import Plan
from stackctl.render.compose import compose_yaml
from stackctl.render.haproxy import API_MAP, api_map, haproxy_cfg
from stackctl.render.host import SCRIPT, host_files
from stackctl.render.telemt import telemt_toml, users_toml
from stackctl.spec import Secrets

USERS_FILE = "secrets/telemt/users.toml"
API_FILE = f"secrets/haproxy/{API_MAP}"

MODES = {"secrets": 0o700, "secrets/telemt": 0o755, "secrets/haproxy": 0o755}
"""Directory modes other than 0755. The outer directory keeps other users of the host out. The files
inside are readable, because containers run as other uids and mount the inner directories."""


@dataclass(frozen=True, slots=True)
class File:
    """One rendered file: its text and its mode bits."""

    text: str
    mode: int = 0o644


def render(plan: Plan, secrets: Secrets) -> dict[str, File]:
    """All files of the deployment by relative path; deterministic byte for byte."""
    users = users_toml(plan, secrets)
    api = api_map(secrets)
    configs = {"haproxy/haproxy.cfg": haproxy_cfg(plan)} | {
        f"telemt/{replica.name}/telemt.toml": telemt_toml(plan, replica)
        for replica in plan.replicas
    }
    digests = {
        "haproxy": _digest(configs["haproxy/haproxy.cfg"] + api),
        DATACENTRE: _digest(""),
        # With the users: a replica reads their file when it starts, so a changed user needs a new
        # container, also when an earlier run was interrupted between writing and starting.
        **{r.name: _digest(configs[f"telemt/{r.name}/telemt.toml"] + users) for r in plan.replicas},
    }
    texts = {"compose.yaml": compose_yaml(plan, digests), **configs, **host_files(plan)}
    files = {
        path: File(text, 0o755 if path == SCRIPT else 0o644) for path, text in sorted(texts.items())
    }
    files["secrets/.gitignore"] = File("*\n")
    files[USERS_FILE] = File(users, 0o444)
    files[API_FILE] = File(api, 0o444)
    return files


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
