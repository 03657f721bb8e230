"""The set of rendered files: which, with which modes, and the same each time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stackctl.plan import Plan, make_plan
from stackctl.render import API_FILE, MODES, USERS_FILE, render
from stackctl.render.host import SCRIPT
from stackctl.spec import Secrets, Stack

SECRETS = Secrets({"alice": "0" * 32, "bob": "1" * 32})

DIGEST_OF_ALL = """
import hashlib
from stackctl.plan import make_plan
from stackctl.render import render
from stackctl.spec import Secrets, Stack

secrets = Secrets({"alice": "0" * 32, "bob": "1" * 32})
digest = hashlib.sha256()
for network in ("bridge", "host"):
    for link in ("unix", "tcp"):
        stack = {"name": "lab", "connections": 8000, "replicas": 8, "network": network}
        plan = make_plan(Stack.model_validate({**stack, "link": link}))
        for path, file in render(plan, secrets).items():
            digest.update(f"{path} {file.mode} {file.text}".encode())
print(digest.hexdigest())
"""


def planned(**keys: object) -> Plan:
    return make_plan(Stack.model_validate({"name": "lab", "connections": 8000, **keys}))


def test_files_are_those_of_a_deployment() -> None:
    assert set(render(planned(replicas=2), SECRETS)) == {
        "compose.yaml",
        "haproxy/haproxy.cfg",
        "telemt/telemt-1/telemt.toml",
        "telemt/telemt-2/telemt.toml",
        "host/etc/sysctl.d/99-zz-stackctl-lab.conf",
        "host/etc/modules-load.d/stackctl-lab.conf",
        "host/etc/security/limits.d/99-stackctl-lab.conf",
        "host/etc/systemd/system/containerd.service.d/99-zz-stackctl-lab.conf",
        "host/etc/systemd/system/docker.service.d/99-zz-stackctl-lab.conf",
        "host/etc/systemd/system/telemt.service.d/99-zz-stackctl-lab.conf",
        "host/limits.tsv",
        "host/prepare.sh",
        "secrets/.gitignore",
        "secrets/haproxy/api.map",
        "secrets/telemt/users.toml",
    }


def test_paths_are_relative_and_stay_inside() -> None:
    for path in render(planned(replicas=8), SECRETS):
        assert not path.startswith("/")
        assert ".." not in path.split("/")


def test_secrets_are_behind_a_folder_for_their_owner_alone() -> None:
    files = render(planned(), SECRETS)
    assert USERS_FILE == "secrets/telemt/users.toml"
    assert files[USERS_FILE].mode == 0o444
    assert MODES["secrets"] == 0o700
    assert files["secrets/.gitignore"].text == "*\n"


def test_everything_else_is_for_all_to_read() -> None:
    files = render(planned(), SECRETS)
    assert files[SCRIPT].mode == 0o755
    assert files[API_FILE].mode == 0o444
    others = {
        file.mode for path, file in files.items() if path not in {USERS_FILE, API_FILE, SCRIPT}
    }
    assert others == {0o644}


def test_a_stack_keeps_its_files_apart_from_another_on_the_same_host() -> None:
    one, other = render(planned(name="one"), SECRETS), render(planned(name="other"), SECRETS)
    for path in one:
        if path.startswith("host/etc/"):
            assert path not in other


def test_rendering_twice_gives_the_same() -> None:
    assert render(planned(replicas=8), SECRETS) == render(planned(replicas=8), SECRETS)


def test_bytes_do_not_depend_on_the_order_of_hashes() -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", DIGEST_OF_ALL],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "4242")
    ]
    digests = [run.communicate(timeout=60)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert digests[0] == digests[1]
    assert len(digests[0].strip()) == 64


@pytest.mark.parametrize("replicas", [1, 8, 100])
def test_each_replica_has_its_file(replicas: int) -> None:
    files = render(planned(replicas=replicas), SECRETS)
    configs = [path for path in files if path.endswith("telemt.toml")]
    assert len(configs) == replicas
