"""Telemt on loopback: the binary of TELEMT_BINARY, or the lab's double of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import tomli_w

from peers.datacentre import free_port

KEY = bytes.fromhex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")
DOMAIN = "www.example.com"
DOUBLE = Path(__file__).parents[2] / "images" / "telemt-lab"


def argv(config: Path) -> list[str]:
    """The command that runs it."""
    if binary := os.environ.get("TELEMT_BINARY"):
        return [str(Path(binary).absolute()), str(config)]
    return ["env", f"PYTHONPATH={DOUBLE}", sys.executable, "-m", "telemt_lab", str(config)]


def config(folder: Path, port: int, datacentre: int, site: int, **changes: Any) -> Path:
    """A telemt.toml in the folder that works with no internet; everything on loopback.

    Args:
        folder: where it and its state go.
        port: where to listen.
        datacentre: the stand-in's port, for every data centre.
        site: the fallback site's port.
        changes: tables to update, by name: server={...}, general={...}.
    """
    document: dict[str, Any] = {
        "general": {
            "config_strict": True,
            "use_middle_proxy": False,
            "middle_proxy_nat_probe": False,
            "data_path": str(folder),
            "quota_state_path": str(folder / "quota.json"),
            "proxy_secret_path": str(folder / "proxy-secret"),
            "modes": {"classic": True, "secure": True, "tls": True},
            "links": {"show": [], "public_host": "127.0.0.1", "public_port": port},
        },
        "network": {"stun_use": False, "ipv6": False},
        "server": {
            "port": port,
            "api": {"enabled": True, "listen": f"127.0.0.1:{free_port()}", "read_only": True},
            "conntrack_control": {"inline_conntrack_control": False},
            "listeners": [{"ip": "127.0.0.1", "port": port}],
        },
        "censorship": {
            "tls_domain": DOMAIN,
            "tls_emulation": False,
            "mask": True,
            "mask_host": "127.0.0.1",
            "mask_port": site,
        },
        "access": {"users": {"alice": KEY.hex()}},
        "upstreams": [{"type": "direct", "interface": "lo"}],
        "dc_overrides": {str(dc): f"127.0.0.1:{datacentre}" for dc in (1, 2, 3, 4, 5, 203, -2)},
    }
    for table, values in changes.items():
        document[table].update(values)
    path = folder / "telemt.toml"
    path.write_text(tomli_w.dumps(document))
    return path
