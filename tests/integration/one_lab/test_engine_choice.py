"""Which engine is asked: DOCKER_HOST, docker contexts, and the errors where none answers."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import docker
import pytest

from ..command import environment, stackctl_in
from ..lab import Lab


def real_socket() -> Path:
    """The socket of the engine that the other tests use."""
    given = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    assert given.startswith("unix://"), f"these tests need an engine on a socket, not {given}"
    return Path(given.removeprefix("unix://"))


class _OldEngine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(
            {"Version": "17.06.0", "ApiVersion": "1.30", "MinAPIVersion": "1.12", "Os": "linux"}
        ).encode()
        self.send_response(200 if self.path.endswith("/version") else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "a socket"

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def old_engine(tmp_path: Path) -> Iterator[Path]:
    """A socket on which something answers as an engine of 2017 does."""
    path = tmp_path / "old.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), _OldEngine) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield path
        server.shutdown()
        thread.join()


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Path]:
    """A docker configuration of its own, with a context `there` at `engine.sock` beside it."""
    folder = tmp_path / "docker"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    subprocess.run(
        ["docker", "context", "create", "there", "--docker",
         f"host=unix://{tmp_path}/engine.sock"],
        env=environment(DOCKER_CONFIG=folder, DOCKER_HOST=None, DOCKER_CONTEXT=None),
        check=True,
        capture_output=True,
    )  # fmt: skip
    yield folder
    docker.from_env().ping()


def unusable(lab: Lab, env: dict[str, str], *commands: str) -> list[str]:
    """The messages of commands that find no engine to work with."""
    messages = []
    for command in commands or ("status",):
        done = stackctl_in(env, command, cwd=lab.folder)
        assert (done.returncode, done.stdout) == (3, ""), done.stderr
        assert "Traceback" not in done.stderr
        assert "\n  do: " in done.stderr
        messages.append(done.stderr)
    return messages


def test_no_engine_at_docker_host(lab: Lab, tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/nothing.sock"
    env = environment(DOCKER_HOST=nowhere)
    for message in unusable(lab, env, "up", "down", "status", "verify", "check"):
        assert message.startswith(f"error: no engine answers at {nowhere}")
        assert "make engine" in message
        assert "DOCKER_HOST" in message


def test_a_docker_host_that_is_no_address(lab: Lab) -> None:
    (message,) = unusable(lab, environment(DOCKER_HOST="nonsense://"))
    assert "nonsense://" in message


def test_commands_that_need_no_engine_ask_none(lab: Lab, tmp_path: Path) -> None:
    env = environment(DOCKER_HOST=f"unix://{tmp_path}/nothing.sock")
    for args in (["plan"], ["render", "-o", str(tmp_path / "out")], ["limits"], ["links"]):
        assert stackctl_in(env, *args, cwd=lab.folder).returncode == 0, args


def test_an_engine_too_old_is_named_with_what_is_needed(lab: Lab, old_engine: Path) -> None:
    (message,) = unusable(lab, environment(DOCKER_HOST=f"unix://{old_engine}"))
    assert "17.06.0" in message
    assert "1.30" in message
    assert "too old" in message
    assert "20.10" in message


@pytest.mark.parametrize("chosen_by", ["environment", "configuration"])
def test_a_context_is_honoured(
    lab: Lab, context: Path, tmp_path: Path, old_engine: Path, chosen_by: str
) -> None:
    env = environment(DOCKER_CONFIG=context, DOCKER_HOST=None, DOCKER_CONTEXT=None)
    if chosen_by == "environment":
        env["DOCKER_CONTEXT"] = "there"
    else:
        (context / "config.json").write_text('{"currentContext": "there"}')
    engine = tmp_path / "engine.sock"
    engine.symlink_to(real_socket())
    assert stackctl_in(env, "status", cwd=lab.folder).returncode == 0
    # The same context now leads to another engine, which shows that this one was asked.
    engine.unlink()
    engine.symlink_to(old_engine)
    assert "too old" in unusable(lab, env)[0]
    # And DOCKER_HOST goes before a context, as for the docker command.
    env["DOCKER_HOST"] = f"unix://{real_socket()}"
    assert stackctl_in(env, "status", cwd=lab.folder).returncode == 0


@pytest.mark.parametrize("chosen_by", ["environment", "configuration"])
def test_a_context_that_does_not_exist(lab: Lab, context: Path, chosen_by: str) -> None:
    env = environment(DOCKER_CONFIG=context, DOCKER_HOST=None, DOCKER_CONTEXT=None)
    if chosen_by == "environment":
        env["DOCKER_CONTEXT"] = "gone"
    else:
        (context / "config.json").write_text('{"currentContext": "gone"}')
    (message,) = unusable(lab, env)
    assert message.startswith("error: docker context 'gone' does not exist")
    assert "docker context ls" in message
