"""Which compose there is, and whether it takes what `up` gives it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stackctl.engine import compose, compose_version
from stackctl.errors import EngineError

MakeDocker = Callable[[str], None]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeDocker:
    """Puts a `docker` command of one's own on PATH, in front of everything."""

    def make(script: str) -> None:
        command = tmp_path / "docker"
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return make


def answering(options: str) -> str:
    return f'case "$*" in "compose version --short") echo 2.40.3;; *) echo "{options}";; esac'


@pytest.mark.parametrize(
    ("options", "lacks"),
    [
        ("--wait  Wait --wait-timeout int --remove-orphans", ()),
        ("--wait  Wait --remove-orphans", ("--wait-timeout",)),
        ("", ("--wait", "--wait-timeout", "--remove-orphans")),
    ],
)
def test_what_it_has(docker: MakeDocker, options: str, lacks: tuple[str, ...]) -> None:
    docker(answering(options))
    assert compose_version() == ("2.40.3", lacks)


def test_a_docker_without_the_plugin(docker: MakeDocker) -> None:
    docker("echo \"docker: 'compose' is not a docker command.\" >&2; exit 1")
    with pytest.raises(EngineError, match="is not a docker command") as caught:
        compose_version()
    assert "compose v2" in caught.value.remedy


def test_no_docker_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="command is not installed"):
        compose_version()


def test_one_that_does_not_answer(docker: MakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "ANSWER_SECONDS", 0.1)
    docker("exec sleep 5")
    with pytest.raises(EngineError, match="does not answer"):
        compose_version()
