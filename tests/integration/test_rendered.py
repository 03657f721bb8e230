"""HAProxy and compose themselves accept whatever is rendered."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path

import docker
import pytest

from .conftest import HAPROXY_IMAGE
from .lab import stackctl

SHAPES = [
    {"network": network, "link": link, "replicas": replicas, "balance": balance}
    for (network, link, replicas), balance in zip(
        itertools.product(("bridge", "host"), ("unix", "tcp"), (1, 8)),
        itertools.cycle(("source", "leastconn")),
        strict=False,
    )
]
LOW_PORT = {"network": "host", "link": "unix", "replicas": 2, "listen": 443}
BOUNDED = {
    "network": "bridge",
    "link": "unix",
    "replicas": 2,
    "per_address": "{connections: 100, rate: 1000}",
    "metrics": "'[::1]:9102'",
}
ADDRESS = {"network": "host", "link": "tcp", "replicas": 2, "listen": "'[::1]:8443'"}


def shape_name(shape: dict[str, object]) -> str:
    return "-".join(str(value) for value in shape.values())


@pytest.fixture(scope="module", params=[*SHAPES, LOW_PORT, ADDRESS, BOUNDED], ids=shape_name)
def rendered(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The rendered folder of a stack; nothing of it is started."""
    folder = tmp_path_factory.mktemp("rendered")
    keys = {"name": "shape", "connections": 2000} | request.param
    (folder / "stack.yaml").write_text("".join(f"{key}: {keys[key]}\n" for key in keys))
    for args in (["init", "--secrets-only"], ["render", "-o", "out"]):
        done = stackctl(*args, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder / "out"


def test_haproxy_accepts_its_configuration(rendered: Path, images: None) -> None:
    output = docker.from_env().containers.run(
        HAPROXY_IMAGE,
        ["haproxy", "-c", "-V", "-f", "/usr/local/etc/haproxy/haproxy.cfg"],
        volumes={
            str(rendered / "haproxy"): {"bind": "/usr/local/etc/haproxy", "mode": "ro"},
            str(rendered / "secrets/haproxy"): {"bind": "/run/haproxy-secrets", "mode": "ro"},
        },
        network_mode="none",
        stderr=True,
        remove=True,
    )
    said = output.decode()
    assert "Configuration file is valid" in said
    assert not re.search(r"\[(WARNING|ALERT)\]", said), said


def test_compose_accepts_its_file_and_reads_the_limits_as_meant(rendered: Path) -> None:
    def config(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "compose", "config", *args],
            cwd=rendered,
            capture_output=True,
            text=True,
            check=False,
        )

    quiet = config("-q")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    services = json.loads(config("--format", "json").stdout)["services"]
    assert set(services) == {"haproxy", *(p.name for p in (rendered / "telemt").iterdir())}
    for name, service in services.items():
        nofile = service["ulimits"]["nofile"]
        assert nofile == {"soft": 1048576, "hard": 1048576}, name
        assert service["labels"]["io.stackctl.target"] == name
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
